//! JSON as different clients write it: the same value, with other escapes, spaces and order.

use super::choices::Choices;

/// White space that JSON allows between tokens, without line ends, as NDJSON has its own use for them.
const SPACES: [&str; 4] = ["", " ", "\t", "  "];

/// Fields that no parser here knows; each is valid JSON that a generic parser may stumble over.
const UNKNOWN: [(&str, &str); 6] = [
    ("x", "1e999"),
    ("", "null"),
    ("extra", r#"{"type":"publish","device_id":[[[[]]]]}"#),
    ("Type", r#""subscribe""#),
    ("y", r#""\ud83d\ude00 \\ \u0000""#),
    ("z", "-0.0000000000000000000000000000001E-400"),
];

/// `text` as a JSON string, each character plain or escaped.
pub fn string(choices: &mut Choices<'_>, text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        let must = matches!(character, '"' | '\\' | '\0'..='\x1F');
        match (character, must || choices.one_in(8)) {
            (_, false) => json.push(character),
            ('"' | '\\' | '/', true) if !choices.one_in(2) => json.extend(['\\', character]),
            ('\n', true) if !choices.one_in(2) => json.push_str("\\n"),
            (_, true) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    json.push('"');
    json
}

/// An object with these fields, whose values are JSON already, in some order, perhaps with fields that mean nothing.
pub fn object(choices: &mut Choices<'_>, fields: &[(&str, String)]) -> String {
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, json)| (*name, json.as_str())).collect();
    for unknown in UNKNOWN {
        if choices.one_in(16) {
            fields.push(unknown);
        }
    }
    let mut json = String::from('{');
    let count = fields.len();
    for left in (1..=count).rev() {
        let (name, value) = fields.swap_remove(choices.below(left));
        let comma = if left == 1 { "" } else { "," };
        let name = string(choices, name);
        let [a, b, c, d] = [(); 4].map(|()| choices.pick(&SPACES));
        json.push_str(&format!("{a}{name}{b}:{c}{value}{d}{comma}"));
    }
    json.push('}');
    json
}
