//! Texts that people might send: the project's own in many scripts, and, where they are, whole declarations and naughty
//! strings of the published test data.

use anyhow::Result;

use crate::vectors;

/// Texts of the project's own, committed: scripts of many directions, combining marks, lengths around the cell.
#[must_use]
pub fn own() -> Vec<String> {
    let mut texts: Vec<String> = [
        "We are safe. Do not come to the office.",
        "Estamos a salvo. No vengan a la oficina.",
        "نحن بأمان. لا تأتوا إلى المكتب.",
        "ما در امان هستیم. به دفتر نیایید.",
        "Tuko salama. Msije ofisini.",
        "እኛ ደህና ነን። ወደ ቢሮ አትምጡ።",
        "ကျွန်ုပ်တို့ ဘေးကင်းပါသည်။",
        "Ми в безпеці. Не приходьте до офісу.",
        "हम सुरक्षित हैं। दफ़्तर मत आना।",
        "我们很安全。不要来办公室。🕊️",
        "\u{202e}right to left override\u{202c} and a zero\u{200b}width space",
        "line\nbreaks\r\nand\ttabs\u{0}and a zero byte",
        "{\"error\":\"not-one\"}",
        "--help",
        " ",
        "\n",
    ]
    .map(str::to_owned)
    .to_vec();
    for len in [1_000, 1_023, 1_024, 1_025, 2_400, 4_096, 20_000] {
        texts.push("ж".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" });
    }
    texts
}

/// The published texts: 38 declarations, and every `step`th non-empty naughty string. `None` without the folder.
///
/// # Errors
/// When the data cannot be read.
pub fn published(step: usize) -> Result<Option<Vec<String>>> {
    let Some(folder) = vectors::folder("i18n-udhr and blns") else { return Ok(None) };
    let mut texts = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("i18n-udhr"))?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        texts.push(std::fs::read_to_string(file.path())?);
    }
    let naughty = std::fs::read_to_string(folder.join("blns/blns.json"))?;
    let naughty: Vec<String> = serde_json::from_str(&naughty)?;
    texts.extend(naughty.into_iter().filter(|text| !text.is_empty()).step_by(step));
    Ok(Some(texts))
}
