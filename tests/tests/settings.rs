//! Where settings come from, for both programs, and that the directories of old set-ups go on working.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use tests::World;
use tests::world::{programs, server};

/// A service's variables as the old set-up script makes them for a client, with what people add.
const OLD_CLIENT: [(&str, &str); 20] = [
    ("HOST", "192.168.2.101\n"),
    ("PORT", "5555\n"),
    ("USER", "root\n"),
    ("HOME", "/root\n"),
    ("PATH", "/usr/bin:/bin\n"),
    ("TIMEOUT", "60\n"),
    ("MAXDAEMONS", "10\n"),
    ("MDRIVE", "/var/lib/mpd/MDrive\n"),
    ("LCD_HOST", "127.0.0.1\n"),
    ("LCD_PORT", "1806\n"),
    ("LCD_FIFO", "/tmp/lcdfifo\n"),
    ("NOTIFY_HOST", "127.0.0.1\n"),
    ("NOTIFY_PORT", "1807\n"),
    ("NOTIFY_FIFO", "/tmp/notifyfifo\n"),
    ("FORCE_UMOUNT", "1\n"),
    ("POWER_OFF", ""),
    ("BACKUP", "/etc /var/lib/mpd\n"),
    ("DEST", "192.168.2.101:/MDrive\n"),
    ("RSYNC_OPTIONS", "--exclude=cache \t\n"),
    ("DATA_TIMEOUT", "120\n"),
];

fn directory(path: &Path, variables: &[(&str, &str)]) {
    fs::create_dir_all(path).unwrap();
    for (name, value) in variables {
        fs::write(path.join(name), value).unwrap();
    }
}

fn check(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = world.command(programs::find("fclient"));
    command.arg("check").args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Default, config file, variables, environment, flag: each later one wins, key by key.
#[test]
fn the_five_places_of_fclient_are_laid_over_each_other() {
    let world = World::new();
    let (config, variables) = (world.path("fclient.toml"), world.path("variables"));
    fs::write(&config, "host = \"from-config\"\nport = 7001\nmdrive = \"/config\"\nuser = \"config\"\n").unwrap();
    directory(&variables, &[("PORT", "7002"), ("MDRIVE", "/variables"), ("USER", "variables")]);
    let places = ["--config", config.to_str().unwrap(), "--variables", variables.to_str().unwrap()];
    let environment = [("MDRIVE", "/environment"), ("USER", "environment")];
    let said = text(&check(&world, &places, &environment));
    let expected = [
        "hook-timeout = 60 (default)",
        "host = from-config (config file)",
        "port = 7002 (variables)",
        "mdrive = /environment (environment)",
        "follows from-config port 7002",
    ];
    for line in expected {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    let with_flag = [&places[..], &["--server", "from-flag:7003"]].concat();
    let said = text(&check(&world, &with_flag, &environment));
    assert!(said.contains("follows from-flag port 7003") && said.contains("host = from-flag (flag)"), "{said}");
}

#[test]
fn the_five_places_of_fserver_are_laid_over_each_other() {
    let world = World::new();
    let ports: Vec<u16> = (0..4).map(|_| world.free_port()).collect();
    let host = world.address().to_string();
    let config = world.path("fserver.toml");
    fs::write(&config, format!("host = \"{host}\"\nport = {}\nname = \"from-config\"\n", ports[0])).unwrap();
    let start = |level: usize| {
        let mut plan = world.server(&format!("attic-{level}")).argument("--config").argument(config.to_str().unwrap());
        fs::remove_file(plan.place().variables().join("NAME")).unwrap();
        if level >= 1 {
            plan = plan.variable("PORT", &ports[1].to_string());
        }
        if level >= 2 {
            plan = plan.environment("PORT", &ports[2].to_string());
        }
        if level >= 3 {
            plan = plan.listen(&format!("{host}:{}", ports[3]));
        }
        let attic = plan.start_to_fail();
        attic.until_log("listening on ");
        assert!(attic.log().contains(" as from-config, run "), "{}", attic.log());
        server::listening(&attic.log()).unwrap().port()
    };
    assert_eq!((0..4).map(start).collect::<Vec<_>>(), ports);
}

/// An empty file takes away what a place below it said; a file with an empty line sets to nothing.
#[test]
fn an_empty_file_unsets() {
    let world = World::new();
    let (config, variables) = (world.path("fclient.toml"), world.path("variables"));
    fs::write(&config, "host = \"attic\"\npower-off = \"1\"\n").unwrap();
    directory(&variables, &[("POWER_OFF", "")]);
    let (config, variables) = (config.to_str().unwrap(), variables.to_str().unwrap());
    assert!(text(&check(&world, &["--config", config], &[])).contains("machine off when its server shuts down"));
    let said = text(&check(&world, &["--config", config, "--variables", variables], &[]));
    assert!(said.contains("never powers this machine off"), "{said}");
}

#[test]
fn the_variables_of_an_old_client_are_taken_as_they_are() {
    let world = World::new();
    let (variables, hooks, state) = (world.path("variables"), world.path("hooks"), world.path("state"));
    directory(&variables, &OLD_CLIENT);
    fs::create_dir_all(&hooks).unwrap();
    let flags = ["--variables", variables.to_str().unwrap(), "--hooks", hooks.to_str().unwrap()];
    // Here is no line in /etc/fstab.
    let source = ("MDRIVE_SOURCE", "192.168.2.101:/MDrive");
    let said = check(&world, &flags, &[("STATE_DIR", state.to_str().unwrap()), ("HOME", "/nowhere"), source]);
    assert!(said.status.success(), "{}", text(&said));
    let said = text(&said);
    assert!(said.contains("follows 192.168.2.101 port 5555"), "{said}");
    assert!(said.contains("never powers this machine off"), "{said}");
    assert!(said.contains("force-umount = 1 (variables)") && said.contains("lcd-port = 1806 (variables)"), "{said}");
}

/// Both ways by which the variables of an old service can come give hooks the same environment.
#[test]
fn envdir_and_the_variables_flag_give_hooks_the_same() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut seen = Vec::new();
    for name in ["by-flag", "by-envdir"] {
        let plan = world.client(name).of(&attic).hook("server-up/20-mount-share", "env > \"$MINE\"");
        let (variables, mine) = (plan.place().variables(), plan.place().path("env"));
        for (key, value) in OLD_CLIENT.iter().filter(|(key, _)| !["HOST", "PORT", "HOME", "PATH"].contains(key)) {
            fs::write(variables.join(key), value).unwrap();
        }
        let plan = plan.variable("MINE", mine.to_str().unwrap());
        let plan = match name {
            "by-flag" => plan,
            _ => plan.without_variables_flag().under(&["envdir", variables.to_str().unwrap()]),
        };
        let kitchen = plan.start();
        world.until("the hook has run", || fs::read_to_string(&mine).is_ok_and(|env| env.contains("PISTOP_ATTEMPT")));
        kitchen.until_log("hook server-up/20-mount-share: done");
        let environment = fs::read_to_string(&mine).unwrap().replace(name, "NAME");
        // Differs from run to run, by which fclient finds its own orphans.
        let lines = environment.lines().filter(|line| !line.starts_with("PISTOP_RUN="));
        let pairs = lines.filter_map(|line| line.split_once('='));
        let all: BTreeMap<String, String> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        seen.push(all);
    }
    assert_eq!(seen[0].get("RSYNC_OPTIONS").map(String::as_str), Some("--exclude=cache"));
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn the_variables_of_an_old_server_are_taken_as_they_are() {
    let world = World::new();
    let old = [("UID", "1000"), ("GID", "1000"), ("USER", "nobody"), ("MDRIVE", "/MDrive"), ("DEST", "/MDrive")];
    let plan = old.iter().fold(world.server("attic"), |plan, (name, value)| plan.variable(name, value));
    let plan = plan.variable("MAXDAEMONS", "10").variable("TIMEOUT", "60").variable("LCD_FIFO", "/tmp/lcdfifo");
    let (host, port) = (world.address().to_string(), world.free_port().to_string());
    let plan = plan.variable("HOST", &host).variable("PORT", &port);
    let attic = plan.start_to_fail();
    attic.until_log(&format!("listening on {host}:{port} as attic"));
}

#[test]
fn check_lists_what_would_be_done_and_changes_nothing() {
    let world = World::new();
    let plan = world.client("kitchen").variable("HOST", "attic").variable("POWER_OFF", "1");
    let place = plan.place().clone();
    let variables = place.variables();
    let said = check(&world, &["--variables", variables.to_str().unwrap()], &[]);
    assert!(said.status.success(), "{}", text(&said));
    let (said, hooks) = (text(&said), place.hooks());
    let command = place.power_off_command();
    let expected = [
        "follows attic port 5555 as kitchen, and hears no announcements".to_owned(),
        format!("powers this machine off when its server shuts down, with `{}`", command.display()),
        format!("on server-up runs {}", hooks.join("server-up/20-mount-share").display()),
        format!("on power-off runs {}", hooks.join("power-off/90-power-off").display()),
        "power-off = 1 (variables)".into(),
    ];
    for line in expected {
        assert!(said.contains(&line), "`{line}` is not in:\n{said}");
    }
    assert!(!place.path("state").exists() && place.events().is_empty());
}

#[test]
fn check_lists_every_problem_with_its_remedy() {
    let world = World::new();
    let plan =
        world.client("kitchen").variable("PORT", "many").variable("LEASE_FLOOR", "0").variable("ON_TERM", "sleep");
    let variables = plan.place().variables();
    let said = check(&world, &["--variables", variables.to_str().unwrap()], &[]);
    assert_eq!(said.status.code(), Some(100), "{}", text(&said));
    let said = text(&said);
    let expected =
        ["/PORT: `many` is no whole number", "give at least 2 seconds", "neither shutdown nor restart", "HOST"];
    for problem in expected {
        let told = said.lines().any(|line| line.starts_with("problem: ") && line.contains(problem));
        assert!(told, "`{problem}` is not in:\n{said}");
    }

    let plan = world.client("hall").variable("HOST", "attic");
    let hook = plan.place().hooks().join("server-up/20-mount-share");
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let variables = plan.place().variables();
    let said = check(&world, &["--variables", variables.to_str().unwrap()], &[]);
    assert_eq!(said.status.code(), Some(100), "{}", text(&said));
    assert!(
        text(&said)
            .contains(&format!("problem: server-up/20-mount-share: has no run bit; run `chmod +x {}`", hook.display()))
    );
}
