//! `completions DIR`: writes the completions of every program for bash, zsh and fish, for the Debian packages. They come
//! from the very flags that the programs parse, so they cannot lag behind.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("completions: name the folder to write to");
        return ExitCode::from(100);
    };
    match write_all(folder.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("completions: cannot write to {}: {why}", Path::new(&folder).display());
            ExitCode::from(111)
        }
    }
}

fn programs() -> [Command; 5] {
    [
        fserver::config::Options::command(),
        fclient::config::Options::command(),
        pistop::config::Options::command(),
        camera::config::Options::command(),
        upload::config::Options::command(),
    ]
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    for mut program in programs() {
        let name = program.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut program, &name, folder)?;
        }
    }
    Ok(())
}
