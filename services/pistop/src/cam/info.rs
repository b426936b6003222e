//! `pistop cam info`: what can be said, what the names mean, and how everything is.

use super::Cameras;
use super::target::{RECORDER, UPLOADER};
use super::view::{self, Queue};
use crate::config::Options;
use crate::local_time::Zone;
use crate::words::out;
use clap::CommandFactory;
use runner::exit::Failure;

/// Prints it.
///
/// # Errors
/// Something cannot be read.
pub fn run(cameras: &Cameras) -> Result<(), Failure> {
    let (status, zone) = (cameras.status()?, Zone::local());
    let mut text = grammar() + "\nNames:\n";
    for name in &cameras.names {
        text += &mapping(cameras, name);
    }
    text += &format!("  all -> every camera, and the services {RECORDER} and {UPLOADER}\n\n");
    text += &view::house(cameras, status.as_ref());
    for name in &cameras.names {
        let queue = Queue::of(cameras, name)?;
        let switch = cameras.places.switched(name);
        text.extend(view::about(name, status.as_ref(), switch, &queue, &zone).into_iter().map(|line| line + "\n"));
    }
    out(&text)
}

/// The verbs, from the very flags that are parsed.
fn grammar() -> String {
    let mut options = Options::command();
    options.build();
    options.find_subcommand_mut("cam").map(|cam| cam.render_help().to_string()).unwrap_or_default()
}

fn mapping(cameras: &Cameras, name: &str) -> String {
    let (folder, settings) = (cameras.ram_dir.join(name), cameras.places.defaults(name));
    let url = cameras.told(name).map_or_else(|why| why.to_string(), |told| told.url);
    format!("  {name} -> seg-{name}, uploader-{name}, {url}, {}, {}\n", folder.display(), settings.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_the_grammar() {
        let grammar = grammar();
        for verb in ["start", "stop", "restart", "enable", "disable", "status", "logs", "lsram", "clean", "getdur"] {
            assert!(grammar.contains(&format!("\n  {verb} ")), "{verb}: {grammar}");
        }
        assert!(grammar.contains("Usage: pistop cam [OPTIONS] [COMMAND]"), "{grammar}");
    }
}
