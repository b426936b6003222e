//! The server's journal lies on a disk of 8 MiB that fills up and is emptied again, and the server dies meanwhile. What
//! could not be kept was refused; what was acknowledged is heard.

use super::Measure;
use super::house::House;
use super::table::Row;
use crate::World;
use crate::world::process::Process;
use fastrand::Rng;
use nix::sys::signal::Signal;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

const PAUSE: u64 = 2000;
/// The disk is full for so long, and for so long it is not.
const SPAN: Duration = Duration::from_millis(700);

/// Who is not root is root in a namespace of users of its own.
const AS_ROOT: [&str; 1] = ["--map-root-user"];
const IN_ITS_USERS: [&str; 2] = ["--user", "--preserve-credentials"];

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A disk in a mount namespace of its own; it is there as long as the process that holds it.
struct SmallDisk {
    holder: Process,
    place: PathBuf,
}

impl SmallDisk {
    fn new(world: &World) -> Self {
        let (place, ready) = (world.path("small"), world.path("small-is-there"));
        fs::create_dir_all(&place).expect("the scratch directory can be written");
        let text = "mount -t tmpfs -o size=8m small \"$1\" && : > \"$2\" && exec sleep infinity";
        let mut command = world.command("unshare");
        command.args(AS_ROOT.iter().filter(|_| !is_root()));
        command.args(["--mount", "--propagation", "private", "sh", "-c", text, "sh"]).arg(&place).arg(&ready);
        let holder = Process::start(world, &mut command, &world.path("holder"));
        world.until("a small disk is there", || ready.exists());
        Self { holder, place }
    }

    /// Before a program's own words: it lives where the disk is seen.
    fn under(&self) -> Vec<String> {
        let words = ["nsenter", "--mount", "--target", &self.holder.pid().to_string()].map(String::from);
        words.into_iter().chain(IN_ITS_USERS.iter().filter(|_| !is_root()).map(|word| (*word).into())).collect()
    }

    /// A file on it, as it is seen from outside.
    fn ballast(&self) -> PathBuf {
        let seen = format!("/proc/{}/root{}", self.holder.pid(), self.place.display());
        PathBuf::from(seen).join("ballast")
    }

    fn fill(&self) {
        let file = OpenOptions::new().create(true).append(true).open(self.ballast());
        let mut file = file.expect("the small disk is seen");
        for bytes in [64 * 1024, 1024, 1] {
            while file.write(&vec![0; bytes]).is_ok_and(|written| written > 0) {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the small disk is seen");
    }
}

/// Rounds of a full and an empty disk; in every other one the server dies while it is full.
pub fn trial(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let (world, rounds) = (World::new(), if measure.is_long() { 12 } else { 2 });
    let disk = SmallDisk::new(&world);
    let journal = disk.place.join("journal").display().to_string();
    let attic = world.server("attic").variable("JOURNAL", &journal).under(&disk.under()).start();
    let mut house = House::around(world, None, attic, PAUSE);
    for round in 0..rounds {
        disk.fill();
        sleep(SPAN);
        if round % 2 == 1 {
            house.attic.stop(Signal::SIGKILL);
            sleep(Duration::from_micros(random.u64(..80_000)));
            house.attic.start_again();
            sleep(SPAN);
        }
        disk.empty();
        sleep(SPAN);
    }
    let account = house.end();
    let complaint = (house.refused() == 0).then(|| "nothing was refused: the disk was not full".into());
    println!("    {} were refused", house.refused());
    vec![Row { complaint, ..Row::new("a full disk under the server's journal, half with kill -9", rounds, account) }]
}
