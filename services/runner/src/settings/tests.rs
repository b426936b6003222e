//! Each test is a house with some of the five places filled, and what a program takes from them.

use super::*;
use std::fs;
use tempfile::TempDir;

const KNOWN: &[Setting] = &[
    Setting { key: "host", default: "", help: "where the server is" },
    Setting { key: "port", default: "5555", help: "its port" },
    Setting { key: "power-off", default: "", help: "go down with the server" },
    Setting { key: "lease", default: "8.5", help: "seconds without a beat" },
];

/// A config file, a variables directory, an environment and flags, all as text.
struct House {
    dir: TempDir,
    sources: Sources,
}

impl House {
    fn new() -> House {
        House { dir: tempfile::tempdir().unwrap(), sources: Sources::default() }
    }

    fn config(mut self, text: &str) -> House {
        let path = self.dir.path().join("fclient.toml");
        fs::write(&path, text).unwrap();
        self.sources.config = Some(path);
        self
    }

    fn variable(mut self, name: &str, bytes: &[u8]) -> House {
        let dir = self.dir.path().join("variables");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), bytes).unwrap();
        self.sources.variables = Some(dir);
        self
    }

    fn environment(mut self, name: &str, value: &str) -> House {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &'static str, value: &str) -> House {
        self.sources.flags.push((key, value.into()));
        self
    }

    fn load(self) -> Result<Settings, BadConfig> {
        Settings::load(KNOWN, self.sources)
    }

    fn refused(self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[test]
fn the_later_place_wins() {
    let house = House::new();
    let settings = house.load().unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("5555"), Origin::Default));

    let settings = House::new().config("port = 1").load().unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("1"), Origin::ConfigFile));

    let settings = House::new().config("port = 1").variable("PORT", b"2\n").load().unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("2"), Origin::Variables));

    let house = House::new().config("port = 1").variable("PORT", b"2\n").environment("PORT", "3");
    let settings = house.load().unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("3"), Origin::Environment));

    let house = House::new().config("port = 1").variable("PORT", b"2\n").environment("PORT", "3").flag("port", "4");
    let settings = house.load().unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("4"), Origin::Flag));
}

#[test]
fn an_empty_file_takes_away_what_the_config_file_said() {
    let settings = House::new().config("power-off = true\nport = 1").variable("POWER_OFF", b"").load().unwrap();
    assert!(!settings.is_set("power-off"));
    assert_eq!(settings.origin("power-off"), Origin::Variables);
    assert!(settings.environment().iter().all(|(name, _)| name != "POWER_OFF"));

    let settings = House::new().variable("PORT", b"").load().unwrap();
    assert_eq!(settings.text("port"), None, "and what was built in");
}

#[test]
fn set_to_nothing_is_not_set_but_hooks_see_it() {
    let settings = House::new().variable("POWER_OFF", b"\n").load().unwrap();
    assert!(!settings.is_set("power-off"));
    assert!(settings.environment().contains(&("POWER_OFF".into(), "".into())));
}

#[test]
fn a_config_file_holds_text_numbers_and_switches() {
    let text = "host = 'attic'\nport = 7\nlease = 0.5\npower-off = true";
    let settings = House::new().config(text).load().unwrap();
    assert_eq!(settings.text("host"), Some("attic"));
    assert_eq!(settings.number::<u16>("port"), Ok(7));
    assert_eq!(settings.seconds("lease"), Ok(Duration::from_millis(500)));
    assert_eq!(settings.text("power-off"), Some("1"));
    assert!(!House::new().config("port = false").load().unwrap().is_set("port"));
}

#[test]
fn a_slip_of_the_pen_is_named_with_the_nearest_key() {
    for (slip, nearest) in [("hots = 1", "`host`"), ("POWER_OFF = true", "`power-off`"), ("leese = 1", "`lease`")] {
        let message = House::new().config(slip).refused();
        assert!(message.contains("fclient.toml: ") && message.contains(nearest), "{message}");
    }
}

#[test]
fn a_config_file_that_cannot_be_read_names_the_line() {
    let message = House::new().config("port = 1\nhost = attic\n").refused();
    assert!(message.contains("fclient.toml: line 2 is no TOML") && !message.contains('\n'), "{message}");
    let message = House::new().config("[host]\na = 1").refused();
    assert!(message.contains("host: is of type table; give text"), "{message}");
    let sources = Sources { config: Some("/nowhere/fclient.toml".into()), ..Sources::default() };
    let message = Settings::load(KNOWN, sources).unwrap_err().to_string();
    assert!(message.contains("/nowhere/fclient.toml: cannot be read"), "{message}");
}

#[test]
fn a_bad_value_names_the_place_it_came_from() {
    let places = [
        (House::new().config("lease = 'long'"), "fclient.toml: lease: `long` is no time"),
        (House::new().variable("LEASE", b"long"), "variables/LEASE: `long` is no time"),
        (House::new().environment("LEASE", "long"), "environment variable LEASE: `long` is no time"),
        (House::new().flag("lease", "long"), "flag --lease: `long` is no time"),
    ];
    for (house, expected) in places {
        let message = house.load().unwrap().seconds("lease").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let message = House::new().load().unwrap().number::<u16>("host").unwrap_err().to_string();
    assert!(message.contains("host: is not set") && message.contains("HOST in variables/"), "{message}");
    let message = House::new().flag("port", "70000").load().unwrap().number::<u16>("port").unwrap_err().to_string();
    assert!(message.contains("flag --port: `70000` is no whole number from 0 to 65535"), "{message}");
}

#[test]
fn a_shared_config_file_may_hold_keys_of_another_program_and_still_no_wrong_values() {
    let shared = |text: &str| Settings::load_shared(KNOWN, House::new().config(text).sources);
    let house = House::new().config("port = 7\nmaxdaemons = 3\nlist = []");
    let settings = Settings::load_shared(KNOWN, house.sources.clone()).unwrap();
    assert_eq!((settings.text("port"), settings.origin("port")), (Some("7"), Origin::ConfigFile));
    assert!(house.refused().contains("is no setting of this program"));
    assert!(shared("port").is_err());
}

#[test]
fn a_time_is_finite_and_not_negative() {
    for bad in ["-1", "inf", "NaN", "1e300", "5s", "-0.001"] {
        let settings = House::new().flag("lease", bad).load().unwrap();
        assert!(settings.seconds("lease").is_err(), "{bad}");
    }
    let settings = House::new().flag("lease", " 0 ").load().unwrap();
    assert_eq!(settings.seconds("lease"), Ok(Duration::ZERO));
}

#[test]
fn hooks_inherit_every_layer() {
    let house = House::new()
        .config("host = 'attic'")
        .variable("MDRIVE", b"/mnt/music\n")
        .variable("PATH", b"/bin\n")
        .variable("GONE", b"")
        .environment("PATH", "/usr/bin")
        .environment("GONE", "x")
        .environment("TERM", "vt100")
        .environment("PORT", "1")
        .flag("port", "2");
    let expected = [
        ("HOST", "attic"),
        ("LEASE", "8.5"),
        ("MDRIVE", "/mnt/music"),
        ("PATH", "/bin"),
        ("PORT", "2"),
        ("TERM", "vt100"),
    ];
    let expected = expected.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    assert_eq!(house.load().unwrap().environment(), expected);
}

#[test]
#[should_panic(expected = "`colour` is asked for and not in the program's list")]
fn asking_for_what_is_not_listed_is_a_programming_error() {
    House::new().load().unwrap().text("colour");
}
