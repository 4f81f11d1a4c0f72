//! The command line, checked as text: help, wrong usage, and what is refused before a vault is opened.

#[test]
fn what_the_program_says_is_what_stands_in_the_transcripts() {
    trycmd::TestCases::new().env("LC_ALL", "C").case("tests/cmd/*.trycmd");
}
