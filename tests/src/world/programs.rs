//! Where the programs are: beside the running test, in the same target directory.

use std::path::PathBuf;

/// A program of this workspace.
///
/// # Panics
/// It has not been built.
pub fn find(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own path");
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "`{name}` is not beside {}; run `cargo build` first (with --release for benches)",
            own.parent().unwrap_or(&own).display()
        )
    })
}
