//! `pistop publish FAMILY/NAME KEY=VALUE...`: a fact of this machine, for scripts and people.

use crate::door;
use crate::words::{out, table};
use bus::told;
use clap::Args;
use protocol::fact::{Plain, Shape, shapes};
use runner::exit::Failure;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The flags of `publish`.
#[derive(Debug, Args)]
pub struct PublishFlags {
    /// The fact with its family, as in display/notice; without it, all facts are listed with their fields
    #[arg(value_name = "FAMILY/NAME")]
    pub fact: Option<String>,
    /// All of its fields, as in summary=Dinner text="The soup is ready"
    #[arg(value_name = "KEY=VALUE", value_parser = door::pair)]
    pub fields: Vec<(String, String)>,
    /// Seconds to wait for the event bus, if it is not there
    #[arg(long, value_name = "S", default_value = "5", value_parser = crate::config::seconds)]
    pub wait: Duration,
}

/// Publishes and prints the id of the event.
///
/// # Errors
/// It is no fact, it is refused, or the agent is not there in time.
pub async fn run(door: impl Fn() -> Result<PathBuf, Failure>, flags: &PublishFlags) -> Result<(), Failure> {
    match &flags.fact {
        None => out(&table(&shapes().iter().map(row).collect::<Vec<_>>())),
        Some(name) => publish(&door()?, name, flags).await,
    }
}

async fn publish(door: &Path, name: &str, flags: &PublishFlags) -> Result<(), Failure> {
    let fact = told::parse(name, &flags.fields).map_err(|why| Failure::Permanent(why.to_string()))?;
    let (bus, _) = door::open(door, flags.wait).await?;
    let kept = timeout(flags.wait.max(door::SILENCE), bus.publish(&fact)).await;
    let kept = kept.map_err(|_| Failure::Temporary(format!("{}; it may be kept or not", door::silent(door))))?;
    out(&format!("{}\n", kept.map_err(door::failure)?))
}

/// `camera/motion  camera=TEXT percent=NUMBER`
fn row(shape: &Shape) -> Vec<String> {
    let fields = shape.fields.iter().map(|field| format!("{}={}", field.name, kind(field.plain)));
    vec![format!("{}/{}", shape.rule.family, shape.rule.name), fields.collect::<Vec<_>>().join(" ")]
}

fn kind(plain: Plain) -> String {
    match plain {
        Plain::Flag => "true|false".into(),
        Plain::Number | Plain::Whole => "NUMBER".into(),
        Plain::Text => "TEXT".into(),
        Plain::Word(words) => words.join("|"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::fact::shape;

    #[test]
    fn the_list_shows_how_each_fact_is_written() {
        let line = |name| table(&[row(shape(name).unwrap())]);
        assert_eq!(line("motion"), "camera/motion  camera=TEXT percent=NUMBER\n");
        assert!(line("machine-state").contains("state=online|draining|offline boot=NUMBER"));
        assert!(line("camera").contains("online=true|false"));
    }
}
