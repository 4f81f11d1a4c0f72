//! libFuzzer's side of the targets: one program for all, the target named in `HEARKEN_FUZZ_TARGET`; `list` names them
//! and their longest inputs, `seeds` writes honest inputs into the folders below the last argument. Built by `tests/fuzz/run` only.
#![forbid(unsafe_code)]
#![no_main]
#![allow(clippy::panic, clippy::print_stdout, reason = "a program for one script")]

use std::sync::OnceLock;

use hearken_fuzz::{TARGETS, Target};

libfuzzer_sys::fuzz_target!(
    init: { let _ = target(); },
    |input: &[u8]| (target().run)(input)
);

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("HEARKEN_FUZZ_TARGET").unwrap_or_default();
        if name == "seeds" {
            write_seeds();
            std::process::exit(0);
        }
        if name == "list" {
            TARGETS.iter().for_each(|target| println!("{}\t{}", target.name, target.len_max));
            std::process::exit(0);
        }
        hearken_fuzz::named(&name).unwrap_or_else(|| panic!("no target is called {name:?}"))
    })
}

fn write_seeds() {
    let folder = std::path::PathBuf::from(std::env::args().next_back().unwrap_or_default());
    for (target, at, seed) in hearken_fuzz::seeds::all() {
        let folder = folder.join(target);
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(format!("seed-{at}")), seed));
        written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
}
