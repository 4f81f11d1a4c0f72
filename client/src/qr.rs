//! Links as QR codes, drawn with half blocks so that they can be scanned from a terminal.
//!
//! Light modules are drawn, dark ones left to the background, as terminals are mostly dark; readers accept the
//! inverse as well.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The link as lines of half blocks with a quiet zone of four modules, or `None` when it is too long for a code.
///
/// The lowest error correction is used: a screen has no dirt on it, and fewer modules fit a small window.
pub(crate) fn draw(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_invitation_fits_a_terminal_of_80_columns() {
        let drawn = draw(&format!("hearken:invite/1#{}", "a".repeat(303))).unwrap();
        let widest = drawn.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns");
        assert!(drawn.lines().count() <= 40);
    }

    #[test]
    fn what_no_code_holds_is_not_drawn() {
        assert!(draw(&"a".repeat(8_000)).is_none());
    }
}
