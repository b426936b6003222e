//! A shell text in mount and process namespaces of its own, with a share that a private fstab knows. Whatever it mounts
//! and starts goes away with it, and the machine's own mounts are out of its reach.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tests::world::programs;

/// What every text may call: whether something is mounted, and waiting for a condition.
const PRELUDE: &str = r#"
mounted() { grep -Fq " $(printf %s "$1" | sed 's/ /\\040/g') " /proc/self/mountinfo; echo code $?; }
await() {
	tries=0
	while ! eval "$1"; do
		tries=$((tries + 1))
		[ $tries -lt 1200 ] || { echo "in vain: $1"; exit 1; }
		sleep 0.05
	done
}
"#;
/// No text takes as long, unless it hangs.
const LONGEST: &str = "120";

/// The place of one test.
pub struct Sandbox {
    scratch: TempDir,
}

impl Sandbox {
    /// A share that is a small file system in memory.
    pub fn new() -> Self {
        let sandbox = Self { scratch: tempfile::tempdir().expect("a scratch directory") };
        let share = sandbox.share().display().to_string().replace(' ', "\\040");
        sandbox.fstab(&format!("demo {share} tmpfs noauto,size=64k 0 0\n"));
        sandbox
    }

    /// Writes the private fstab.
    pub fn fstab(&self, text: &str) {
        std::fs::write(self.path("fstab"), text).expect("it can be written");
    }

    /// A path in the scratch directory, `$SCRATCH` in the text.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A name with a blank, as people give. It is `$MDRIVE` in the text.
    pub fn share(&self) -> PathBuf {
        self.path("my share")
    }

    /// Runs a text, with our hooks' folder in `$HOOKS`.
    pub fn run(&self, text: &str, variables: &[(&str, &str)]) -> Told {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks");
        let ours = programs::find("fclient").parent().expect("a program lies in a folder").display().to_string();
        let root = nix::unistd::geteuid().is_root();
        let namespaces: &[&str] = if root { &[] } else { &["--map-root-user"] };
        let output = Command::new("timeout")
            .args(["--kill-after=5", LONGEST, "unshare", "--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(namespaces)
            .args(["sh", "-c", &format!("{PRELUDE}{text}")])
            .env_clear()
            .env("PATH", format!("{ours}:/usr/sbin:/usr/bin:/sbin:/bin"))
            .env("LC_ALL", "C")
            .env("HOOKS", hooks)
            .env("SCRATCH", self.scratch.path())
            .env("LIBMOUNT_FSTAB", self.path("fstab"))
            .env("MDRIVE", self.share())
            .envs(variables.iter().copied())
            .current_dir("/")
            .output();
        Told::new(&output.expect("timeout is part of coreutils"))
    }

    /// The exit codes that the text has printed.
    #[track_caller]
    pub fn codes(&self, text: &str, variables: &[(&str, &str)]) -> Vec<u8> {
        self.run(text, variables).codes()
    }
}

/// What a text has printed, both streams.
#[derive(Debug)]
pub struct Told(String);

impl Told {
    fn new(output: &Output) -> Told {
        let [out, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Told(format!("{out}{error}"))
    }

    /// All of it.
    pub fn words(&self) -> &str {
        &self.0
    }

    /// The exit codes, each in a line `code N`.
    #[track_caller]
    pub fn codes(&self) -> Vec<u8> {
        assert!(!self.0.contains("in vain: "), "{}", self.0);
        let codes = self.0.lines().filter_map(|line| line.strip_prefix("code "));
        codes.map(|code| code.parse().expect("a code is a number")).collect()
    }

    /// These words are in it.
    #[track_caller]
    pub fn has(&self, words: &str) -> &Told {
        assert!(self.0.contains(words), "`{words}` is missing in:\n{}", self.0);
        self
    }

    /// These are not.
    #[track_caller]
    pub fn lacks(&self, words: &str) -> &Told {
        assert!(!self.0.contains(words), "`{words}` should not be in:\n{}", self.0);
        self
    }

    /// These are the codes.
    #[track_caller]
    pub fn ends(&self, codes: &[u8]) -> &Told {
        assert_eq!(self.codes(), codes, "{}", self.0);
        self
    }
}
