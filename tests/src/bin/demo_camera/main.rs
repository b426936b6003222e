//! Two cameras of ours, one that is well and one that does everything that such cameras do, recorded by `camera`,
//! brought to a real S3 server by `upload`, in a house with an agent; for a while the storage is dead. Takes two
//! minutes. Prints what is said in the house as it happens, the gaps, what is in the bucket, and what was expected;
//! leaves a page and a picture in `target/demo-camera`. The exit code says whether all was as expected.
//!
//! | module | what it does |
//! |---|---|
//! | `stage` | the processes and the cameras |
//! | `timeline` | what is said and done, and when |
//! | `scenes` | what happens |
//! | `gaps` | what is missing, and why |
//! | `judge` | what is expected |
//! | `pictures` | a picture of each segment, and all on one sheet |
//! | `page`, `drawing` | the page |

mod drawing;
mod gaps;
mod judge;
mod page;
mod pictures;
mod scenes;
mod stage;
mod timeline;

use stage::Stage;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tests::checks::Checks;

fn main() -> ExitCode {
    let mut stage = Stage::set();
    let marks = scenes::play(&mut stage);
    let stored = stage.s3.stored();
    let gaps = gaps::of(&stage, marks.recorded);
    let told = stage.recorder.cam(&["gaps", "all"]);
    println!("\npistop cam gaps all:\n{}{}\nin the bucket:", told.output, told.error);
    stored.iter().for_each(|stored| println!("  {:>9} bytes  {}", stored.content.len(), stored.key));
    println!();
    let mut checks = Checks::default();
    judge::judge(&mut checks, &stage, &marks, &stored, &gaps);
    // It ends with 1 all the same: of the time before it was begun there is no ledger.
    let explained = told.output.matches("unexplained  0.00 %").count();
    checks.expect(explained == 2, "pistop cam gaps finds nothing that is unexplained", format!("{explained} of 2"));
    let folder = folder();
    let thumbnails = pictures::leave(&stage, &stored, &folder);
    page::leave(
        &folder.join("index.html"),
        &page::Shown {
            stage: &stage,
            marks: &marks,
            stored: &stored,
            gaps: &gaps,
            thumbnails: &thumbnails,
            checks: &checks,
        },
    );
    let good = checks.conclude();
    println!(
        "the page is {}\nthe picture is {}",
        folder.join("index.html").display(),
        folder.join("recorded.png").display()
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `target/demo-camera`, beside the folder of this program.
fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own path");
    let folder = own.ancestors().nth(2).unwrap_or(Path::new(".")).join("demo-camera");
    std::fs::create_dir_all(&folder).expect("target can be written");
    folder
}
