//! The documents hold what the code does: `settings/default.toml`, `docs/settings.md`, `docs/metrics.md`.
//!
//! What of them is made from the code is written again by `UPDATE=1 cargo test --test it made_pages`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use processor::settings;

use crate::harness::{Server, folder, project};

const BEGIN: &str = "<!-- made from the code: begin -->\n";
const END: &str = "<!-- made from the code: end -->\n";

/// The committed file says what the code says. With `UPDATE=1` it is made to.
fn is_committed(name: &str, made: &str) {
    let path = project().join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    let (mut lines, mut others) = (committed.lines(), made.lines());
    for number in 1.. {
        match (lines.next(), others.next()) {
            (None, None) => break,
            (is, should) => assert_eq!(
                is, should,
                "{name}, line {number}, is not what the code says; `UPDATE=1 cargo test --test it made_pages` writes it"
            ),
        }
    }
    assert_eq!(committed, made, "{name}");
}

/// The page with `made` between its marks.
fn page_with(name: &str, made: &str) -> String {
    let page = fs::read_to_string(project().join(name)).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("{name} has no {BEGIN}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name} has no {END}"));
    format!("{before}{BEGIN}\n{made}\n\n{END}{after}")
}

#[test]
fn the_file_of_default_settings_is_made_from_the_table() {
    is_committed("settings/default.toml", &settings::default_file());
}

#[test]
fn the_page_of_settings_is_made_from_the_table() {
    is_committed("docs/settings.md", &page_with("docs/settings.md", settings::reference().trim_end()));
}

/// A metric, as `/metrics` tells of it.
#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    /// The values of each label.
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// What is on the page, by name.
fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
            current = name.to_owned();
        } else {
            assert!(line.starts_with(&current), "{line} stands under {current}");
            let family = families.get_mut(&current).unwrap();
            for (label, value) in labels(line) {
                family.labels.entry(label.to_owned()).or_default().insert(value.to_owned());
            }
        }
    }
    families
}

/// The labels of a series. No value on the page holds a quotation mark.
fn labels(series: &str) -> Vec<(&str, &str)> {
    let labels = series.split_once('{').and_then(|(_, rest)| rest.split_once('}')).unwrap().0;
    let pairs = labels.split("\",").map(|pair| pair.split_once("=\"").unwrap());
    pairs.map(|(label, value)| (label, value.trim_end_matches('"'))).collect()
}

/// A row for each metric that is not of the process, and no label that all of them have.
fn table(families: &BTreeMap<String, Family>) -> String {
    let mut table = "| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, Family { kind, help, labels }) in families {
        if name.starts_with("process_") {
            continue;
        }
        assert!(name.starts_with("processor_"), "{name}");
        let labels = labels.iter().filter(|(label, _)| !["instance_id", "le"].contains(&label.as_str()));
        let labels = labels.map(|(label, values)| {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            // There is one version, another for each release.
            if label == "version" {
                format!("`{label}`")
            } else {
                format!("`{label}`: {}", values.join(", "))
            }
        });
        let labels = labels.collect::<Vec<_>>().join("; ");
        table += &format!("| `{name}` | {kind} | {labels} | {help} |\n");
    }
    table
}

async fn running() -> BTreeMap<String, Family> {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    families(&server.get("/metrics").await.1)
}

#[actix::test]
async fn the_page_of_metrics_is_made_from_what_a_server_exposes() {
    let table = table(&running().await);
    assert!(table.lines().count() > 25, "{table}");
    is_committed("docs/metrics.md", &page_with("docs/metrics.md", table.trim_end()));
}

#[actix::test]
async fn the_page_of_metrics_explains_each_reason() {
    let page = fs::read_to_string(project().join("docs/metrics.md")).unwrap();
    let mut explained = 0;
    for (name, family) in running().await {
        let Some(reasons) = family.labels.get("reason") else { continue };
        let section = page.split_once(&format!("\n### `{name}`\n")).unwrap_or_else(|| panic!("{name}")).1;
        let section = section.split("\n### ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
        let told: BTreeSet<_> =
            cells.flat_map(|cell| cell.split("`, `")).map(|one| one.trim_end_matches('`')).collect();
        assert_eq!(told, reasons.iter().map(String::as_str).collect(), "{name}");
        explained += 1;
    }
    assert_eq!(explained, 6);
}
