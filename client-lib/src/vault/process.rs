//! Keeps what is in memory out of core dumps and out of reach of other processes of the same person.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps off and, on Linux, lets no other unprivileged process attach to this one or read its memory.
///
/// Best effort: a system that refuses is used as it is. Swap is not covered.
pub fn harden() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
