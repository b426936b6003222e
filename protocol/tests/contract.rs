//! The contract of hooks in words, `hooks/README.md`, and what the code says of facts, are the same.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use protocol::fact::{Priority, Retain, Shape, shapes};
use protocol::hook::FACT_VARIABLES;
use std::collections::BTreeSet;

const HEADING: &str = "## Hooks on facts\n";
/// What begins the table of facts, under its heading.
const TABLE: &str = "| Fact | Family | Kind | Lifetime | Matters | Fields | When |\n|---|---|---|---|---|---|---|\n";

/// The part that is about facts.
fn contract() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, part) = text.split_once(HEADING).expect("hooks/README.md has a part about facts");
    part.split_once("\n## ").map_or(part, |(part, _)| part).to_owned()
}

/// The row of a fact, but for the last column, which is words.
fn row(Shape { rule, fields }: &Shape) -> String {
    let kind = match rule.retain {
        Retain::Each => "each",
        Retain::Last => "last",
    };
    let matters = match rule.priority {
        Priority::Vital => "vital",
        Priority::Normal => "normal",
        Priority::Passing => "passing",
    };
    let hours = rule.lifetime.as_secs() / 3600;
    let lifetime = if hours % 24 == 0 { format!("{} d", hours / 24) } else { format!("{hours} h") };
    let fields: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
    format!("| `{}` | {} | {kind} | {lifetime} | {matters} | {} | ", rule.name, rule.family, fields.join(", "))
}

#[test]
fn the_table_of_facts_is_what_the_code_says() {
    let contract = contract();
    let (_, table) = contract.split_once(TABLE).expect("hooks/README.md has the table of facts");
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    for shape in shapes() {
        let row = row(shape);
        let words = rows.iter().find_map(|line| line.strip_prefix(&row));
        assert!(words.is_some_and(|words| words.len() > 5), "hooks/README.md lacks this row: {row}when it is told |");
    }
    assert_eq!(rows.len(), shapes().len(), "hooks/README.md has a row of a fact that there is not");
}

#[test]
fn the_variables_of_facts_are_those_of_the_code() {
    let contract = contract();
    let named = contract.lines().filter_map(|line| line.strip_prefix("| `PISTOP_")?.split_once('`'));
    let named: BTreeSet<String> = named.map(|(name, _)| format!("PISTOP_{name}")).collect();
    assert_eq!(named, FACT_VARIABLES.map(String::from).into(), "hooks/README.md (left) and protocol::hook (right)");
}
