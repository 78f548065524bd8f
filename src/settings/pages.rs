//! The table of settings as text: `settings/default.toml`, and the tables in `docs/settings.md`.

use super::setting::{Default, Entry, Group};
use super::table::GROUPS;

/// Columns of a comment.
const WIDTH: usize = 120;

const HEADING: &str = "Every setting and its default. The same name in capitals, in the environment, wins over the files. \
    These values are compiled in as well, so the binary runs from any folder. Made from src/settings/table.rs by \
    `UPDATE=1 cargo test --test it made_pages`.";

/// The file with every setting at its default, and what each is for.
pub fn default_file() -> String {
    let groups = GROUPS.iter().map(|group| {
        let settings: String = group.settings.iter().map(|setting| toml(*setting)).collect();
        format!("\n# --- {} ---\n{settings}", group.title)
    });
    format!("{}{}", comment(HEADING), groups.collect::<String>())
}

fn toml(setting: &dyn Entry) -> String {
    let (key, is_bare) = (setting.key(), setting.is_bare());
    let line =
        |value: &str| if is_bare { format!("{key} = {value}\n") } else { format!("{key} = {value:?}\n") };
    let about = format!("{} Allowed: {}.", setting.help(), setting.allowed());
    match setting.default() {
        Default::Text(text) => format!("\n{}{}", comment(&about), line(text)),
        Default::Computed { says, example } => {
            format!("\n{}# {}", comment(&format!("{about} Default: {says}.")), line(example))
        }
    }
}

/// `text` in lines that begin with `#`, without Markdown's marks for code.
fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.replace('`', "").split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length + 1 + word.chars().count() > WIDTH {
            lines.push(String::from("#"));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// Markdown: a heading and a table for each group.
pub fn reference() -> String {
    GROUPS.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn section(group: &Group) -> String {
    let rows: String = group.settings.iter().map(|setting| row(*setting)).collect();
    format!("### {}\n\n| name | default | allowed | meaning |\n|---|---|---|---|\n{rows}", group.title)
}

fn row(setting: &dyn Entry) -> String {
    let default = match setting.default() {
        Default::Text("") => "empty".to_owned(),
        Default::Text(text) => format!("`{text}`"),
        Default::Computed { says, .. } => says.to_owned(),
    };
    format!(
        "| `{}` | {default} | {} | {} |\n",
        setting.variable(),
        escaped(&setting.allowed()),
        setting.help()
    )
}

/// Without what Markdown would take for HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
