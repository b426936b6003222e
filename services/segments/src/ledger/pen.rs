//! The files of the ledger: `RAM_DIR/.ledger/CAM`, to which only the recorder appends; `CAM.alive` beside it; `CAM.upload`, to which only
//! the uploader does; and `CAM.cleaned`, to which `pistop cam clean` does.

use super::{Line, What, death, decode};
use crate::is_camera_name;
use crate::put::{put, put_or_write_over};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The folder in that of all recordings; no camera can be called so.
const FOLDER: &str = ".ledger";
/// Beside it, what others write.
const UPLOAD: &str = "upload";
const CLEANED: &str = "cleaned";
/// What is older is forgotten when a run begins: eight days, so that a week is whole.
pub const KEPT_MS: u64 = 8 * 24 * 3600 * 1000;
/// Bytes that a camera's ledger may take: eight days of segments of 20 s are 5 MB. Then the older half is forgotten.
pub const MOST: u64 = 6 << 20;
/// Bytes of lines that wait for room.
const WAITING: usize = 256 << 10;

/// Writes a camera's ledger.
#[derive(Debug)]
pub struct Pen {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Lines for which there was no room yet.
    waiting: Vec<u8>,
}

impl Pen {
    /// Opens it, and says in it how the last run ended if that could not. `now` is a time of the monotonic clock.
    ///
    /// # Errors
    /// The folder cannot be written to. That it is full is no error: what is said in it waits for room.
    pub fn open(ram_dir: &Path, camera: &str, now: u64) -> io::Result<Pen> {
        fs::create_dir_all(ram_dir.join(FOLDER))?;
        let path = path(ram_dir, camera);
        let content = content(&path)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        Ok(Pen::on(path, file, &content, now))
    }

    fn on(path: PathBuf, file: File, content: &[u8], now: u64) -> Pen {
        let lines = decode(content);
        let mut pen = Pen { path, file, bytes: content.len() as u64, waiting: Vec::new() };
        if content.last().is_some_and(|&byte| byte != b'\n') {
            pen.waiting.push(b'\n');
        }
        if let Some(died) = death(&lines, alive(&pen.path).as_ref()) {
            let _ = pen.write(&died);
        }
        if lines.first().is_some_and(|first| first.at.saturating_add(KEPT_MS) < now) {
            let _ = pen.shorten(|line, _| line.at.saturating_add(KEPT_MS) < now);
        }
        pen
    }

    /// Adds a line.
    ///
    /// # Errors
    /// There is no room; it waits for the next one, with which it is tried again.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.waiting.len() < WAITING {
            self.waiting.extend(line.encode()?);
        }
        self.file.write_all_at(&self.waiting, self.bytes)?;
        self.bytes += self.waiting.len() as u64;
        self.waiting.clear();
        if self.bytes > MOST {
            self.shorten(|_, before| before < MOST / 2)?;
        }
        Ok(())
    }

    /// The recorder lives.
    ///
    /// # Errors
    /// There is no room.
    pub fn alive(&self, line: &Line) -> io::Result<()> {
        let (path, aside) = (self.path.with_extension("alive"), self.path.with_extension("new"));
        // Or on a full disk it would seem to be dead.
        put_or_write_over(&path, &aside, &line.encode()?)
    }

    /// Forgets the first lines for which `old` holds, which is told their place in bytes, too; of them only remains what later ones
    /// build on.
    fn shorten(&mut self, old: impl Fn(&Line, u64) -> bool) -> io::Result<()> {
        let (mut lines, mut before) = (Vec::new(), 0);
        for text in fs::read(&self.path)?.split_inclusive(|&byte| byte == b'\n') {
            lines.extend(decode(text).into_iter().map(|line| (line, before)));
            before += text.len() as u64;
        }
        let kept = lines.partition_point(|(line, before)| old(line, *before));
        let Some(first) = lines.get(kept).map(|(line, _)| line.at) else { return Ok(()) };
        let (gone, rest) = lines.split_at(kept);
        let base = base(gone.iter().map(|(line, _)| line));
        let shortened = Line { at: first, what: What::Shortened };
        let mut bytes = Vec::new();
        for line in base.chain([&shortened]).chain(rest.iter().map(|(line, _)| line)) {
            bytes.extend(line.encode()?);
        }
        let aside = self.path.with_extension("new");
        put(&self.path, &aside, &bytes)?;
        (self.file, self.bytes) = (OpenOptions::new().write(true).open(&self.path)?, bytes.len() as u64);
        Ok(())
    }
}

/// The last line about the run, the clock, and what the camera did.
fn base<'a>(lines: impl DoubleEndedIterator<Item = &'a Line> + Clone) -> impl Iterator<Item = &'a Line> {
    let last = |is: fn(&What) -> bool| lines.clone().rev().find(|line| is(&line.what));
    let run = last(|what| matches!(what, What::Begun { .. }));
    let clock = last(|what| matches!(what, What::Clock { .. }));
    let state = last(|what| {
        matches!(what, What::Away { .. } | What::Back | What::Stopped | What::GaveUp { .. } | What::Died { .. })
            || matches!(what, What::Begun { .. } | What::Unusable { .. })
    });
    let after = |line: &&Line| run.is_none_or(|run| line.at >= run.at && *line != run);
    run.into_iter().chain(clock.filter(after)).chain(state.filter(after))
}

/// Writes down what became of a segment, for whoever is not its recorder.
///
/// # Errors
/// There is no room, or the folder cannot be written to.
pub fn tell(ram_dir: &Path, camera: &str, what: What) -> io::Result<()> {
    fs::create_dir_all(ram_dir.join(FOLDER))?;
    let path = path(ram_dir, camera).with_extension(match what {
        What::Cleaned { .. } => CLEANED,
        _ => UPLOAD,
    });
    // A line that a full disk tore before this one spoils nothing but itself.
    let line = [b"\n", Line { at: 0, what }.encode()?.as_slice()].concat();
    // Whoever deletes so much deletes more; the first ones are forgotten.
    let new = path.metadata().is_ok_and(|about| about.len() > MOST / 8);
    let mut file = OpenOptions::new().create(true).write(true).append(!new).truncate(new).open(path)?;
    file.write_all(&line)
}

/// Everything that is known of a camera, the sign of life last.
///
/// # Errors
/// It cannot be read; a camera without a ledger has no lines.
pub fn read(ram_dir: &Path, camera: &str) -> io::Result<Vec<Line>> {
    let path = path(ram_dir, camera);
    // Those of others first: they cannot know of a segment that is not in the recorder's part a moment later.
    let mut lines = decode(&content(&path.with_extension(UPLOAD))?);
    lines.extend(decode(&content(&path.with_extension(CLEANED))?));
    // A sign of life that is older than the last line is better than one that came with a line that is not read.
    let alive = alive(&path);
    lines.extend(decode(&content(&path)?));
    lines.extend(alive);
    Ok(lines)
}

/// The cameras that have a ledger, sorted.
///
/// # Errors
/// The folder cannot be read; one that is not there holds none.
pub fn cameras(ram_dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(ram_dir.join(FOLDER)) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(Some(name).filter(|name| is_camera_name(name)));
    }
    Ok(names.into_iter().collect())
}

fn path(ram_dir: &Path, camera: &str) -> PathBuf {
    ram_dir.join(FOLDER).join(camera)
}

fn alive(ledger: &Path) -> Option<Line> {
    let lines = decode(&content(&ledger.with_extension("alive")).ok()?);
    lines.into_iter().find(|line| matches!(line.what, What::Alive { .. }))
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        content => content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Reading;

    const CLOCK: Reading = Reading { unix: 1_795_658_040_000, set: true, slept: 0 };

    fn line(at: u64, what: What) -> Line {
        Line { at, what }
    }

    fn begun(at: u64) -> Line {
        line(at, What::Begun { run: "0000000a".into(), kernel: "k".into(), clock: CLOCK })
    }

    fn ats(dir: &Path) -> Vec<u64> {
        read(dir, "cam1").unwrap().iter().map(|line| line.at).collect()
    }

    #[test]
    fn a_ledger_goes_on_after_a_kill_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut pen = Pen::open(dir.path(), "cam1", 100).unwrap();
        pen.write(&begun(100)).unwrap();
        pen.alive(&line(150, What::Alive { clock: CLOCK, open: None })).unwrap();
        drop(pen);
        OpenOptions::new().append(true).open(path(dir.path(), "cam1")).unwrap().write_all(b"{\"at\":1").unwrap();
        let mut pen = Pen::open(dir.path(), "cam1", 200).unwrap();
        pen.write(&begun(200)).unwrap();
        pen.write(&line(210, What::Stopped)).unwrap();
        tell(dir.path(), "cam1", What::Vanished { run: "0000000a".into(), sequence: 7 }).unwrap();
        drop(pen);
        drop(Pen::open(dir.path(), "cam1", 300).unwrap());
        assert_eq!(ats(dir.path()), [0, 100, 150, 200, 210, 150]);
        assert_eq!(read(dir.path(), "cam1").unwrap()[2].what, What::Died { clock: Some(CLOCK) });
        assert_eq!(cameras(dir.path()).unwrap(), ["cam1"]);
        assert!(read(dir.path(), "cam2").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_a_full_disk_tore_spoils_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let what = |sequence| What::Vanished { run: "0000000a".into(), sequence };
        tell(dir.path(), "cam1", what(1)).unwrap();
        let beside = path(dir.path(), "cam1").with_extension(UPLOAD);
        let whole = beside.metadata().unwrap().len();
        tell(dir.path(), "cam1", what(2)).unwrap();
        OpenOptions::new().write(true).open(&beside).unwrap().set_len(whole + 20).unwrap();
        tell(dir.path(), "cam1", what(3)).unwrap();
        let lines = read(dir.path(), "cam1").unwrap();
        assert_eq!(lines.into_iter().map(|line| line.what).collect::<Vec<_>>(), [what(1), what(3)]);
        let cleaned = What::Cleaned { run: "0000000a".into(), sequence: 4 };
        tell(dir.path(), "cam1", cleaned.clone()).unwrap();
        assert_eq!(read(dir.path(), "cam1").unwrap()[2].what, cleaned, "who else writes has a file of his own");
    }

    #[test]
    fn on_a_full_disk_a_ledger_is_opened_and_its_lines_wait_for_room() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FOLDER)).unwrap();
        let (path, before) = (path(dir.path(), "cam1"), begun(100).encode().unwrap());
        fs::write(&path, &before).unwrap();
        let writes = |path: &Path| OpenOptions::new().write(true).open(path).unwrap();
        let mut pen = Pen::on(path.clone(), writes("/dev/full".as_ref()), &before, 200);
        assert_eq!(pen.write(&begun(200)).unwrap_err().kind(), ErrorKind::StorageFull);
        let alive = |at| line(at, What::Alive { clock: CLOCK, open: None });
        pen.alive(&alive(200)).unwrap();
        std::os::unix::fs::symlink("/dev/full", path.with_extension("new")).unwrap();
        pen.alive(&alive(300)).unwrap();
        assert_eq!(super::alive(&path), Some(alive(300)), "and it says that it lives");
        fs::remove_file(path.with_extension("alive")).unwrap();
        pen.file = writes(&path);
        pen.write(&line(210, What::Stopped)).unwrap();
        let lines = read(dir.path(), "cam1").unwrap();
        assert_eq!(lines[1], line(100, What::Died { clock: None }));
        assert_eq!(ats(dir.path()), [100, 100, 200, 210]);
    }

    #[test]
    fn what_is_old_is_forgotten_but_not_who_runs() {
        let dir = tempfile::tempdir().unwrap();
        let mut pen = Pen::open(dir.path(), "cam1", 100).unwrap();
        let away = line(130, What::Away { since: 120, cause: "silent".into() });
        for line in [begun(100), line(110, What::Back), line(115, What::Clock { clock: CLOCK }), away] {
            pen.write(&line).unwrap();
        }
        pen.write(&line(KEPT_MS, What::Back)).unwrap();
        pen.write(&line(KEPT_MS + 300, What::Stopped)).unwrap();
        drop(pen);
        drop(Pen::open(dir.path(), "cam1", KEPT_MS + 200).unwrap());
        assert_eq!(ats(dir.path()), [100, 115, 130, KEPT_MS, KEPT_MS, KEPT_MS + 300]);
        assert_eq!(read(dir.path(), "cam1").unwrap()[3].what, What::Shortened);
    }

    #[test]
    fn a_ledger_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut pen = Pen::open(dir.path(), "cam1", 0).unwrap();
        pen.write(&begun(1)).unwrap();
        let why = "x".repeat(50_000);
        for at in 2..400 {
            pen.write(&line(at, What::GaveUp { why: why.clone() })).unwrap();
            assert!(path(dir.path(), "cam1").metadata().unwrap().len() <= MOST);
        }
        let kept = ats(dir.path());
        assert!(kept[0] == 1 && kept.len() > 50 && kept.last() == Some(&399), "{kept:?}");
        assert_eq!(
            kept.windows(2).filter(|pair| pair[1] > pair[0] + 1).count(),
            1,
            "one hole, at the beginning: {kept:?}"
        );
    }
}
