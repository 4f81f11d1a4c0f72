//! Packages made of parts, for `tests/fuzz`.

use super::package::Package;

/// A package of these parts; `None` where it cannot be written.
#[must_use]
pub fn package(parts: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut package = Package::default();
    for (name, content) in parts {
        package.put(name, content.to_vec());
    }
    package.written().ok()
}
