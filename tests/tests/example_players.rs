//! The two mpd.conf of the examples under Debian's real mpd: the server's scans a song into its database, and the client's
//! knows the same song without having scanned anything. Only paths and addresses differ: all in a scratch directory, and
//! Unix sockets in place of the port.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tests::World;
use tests::world::process::Process;

/// An example with the places of this world, each of which must be in it.
fn config(world: &World, side: &str, places: &[(&str, &str)]) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../example_config/{side}/etc/mpd.conf"));
    let text = places.iter().fold(fs::read_to_string(example).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{side}/etc/mpd.conf has no {from} any more");
        text.replace(from, &to.replace('@', &world.path("").display().to_string()))
    });
    let path = world.path(&format!("{side}.conf"));
    // Under a test, mpd stays who it is, and the port is nobody's.
    let text = text.replace("\nuser ", "\n# user ").replace("\nport ", "\n# port ");
    fs::write(&path, text).unwrap();
    path
}

fn start(world: &World, side: &str, config: &Path) -> Process {
    let mut mpd = world.command("mpd");
    mpd.args(["--no-daemon", "--stderr"]).arg(config);
    Process::start(world, &mut mpd, &world.path(&format!("mpd-of-{side}")))
}

/// The lines of an answer; none as long as nobody answers.
fn ask(world: &World, side: &str, command: &str) -> Vec<String> {
    let Ok(mut socket) = UnixStream::connect(world.path(side)) else { return Vec::new() };
    writeln!(socket, "{command}").unwrap();
    let lines = BufReader::new(socket).lines().map_while(Result::ok);
    lines.take_while(|line| line != "OK" && !line.starts_with("ACK")).collect()
}

/// One second of silence, as a WAV file: 8,000 samples of 16 bits.
fn song(path: &Path) {
    let (rate, bytes) = (8_000_u32, 16_000_u32);
    let mut file = Vec::from(*b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(*b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend(*b"\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    file.resize(44 + bytes as usize, 0);
    fs::write(path, file).unwrap();
}

#[test]
fn the_client_plays_what_the_server_has_scanned() {
    let world = World::new();
    for folder in ["disk/Music", "disk/playlists", "disk/data", "disk/cache", "player"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    song(&world.path("disk/Music/Evening.wav"));
    let server =
        [("\"/MDrive", "\"@/disk"), ("\"/var/lib/mpd", "\"@"), ("/run/mpd/pid", "@/pid"), ("\"any\"", "\"@/server\"")];
    let mut announcer = start(&world, "server", &config(&world, "server", &server));
    let knows = |side| ask(&world, side, "listall").contains(&"file: Evening.wav".to_owned());
    world.until("the server's mpd has scanned the song", || knows("server"));
    world.until("the server's mpd has written down what it knows", || world.path("disk/data/tag_cache").exists());

    let client = [
        ("\"/var/lib/mpd/MDrive", "\"@/disk"),
        ("\"/var/lib/mpd", "\"@/player"),
        ("/run/mpd/pid", "@/client-pid"),
        ("\"any\"", "\"@/client\""),
        ("\"musicpi\"", "\"@/server\""),
        ("\"alsa\"", "\"null\""),
    ];
    let mut player = start(&world, "client", &config(&world, "client", &client));
    world.until("the client's mpd asks the server's database", || knows("client"));
    ask(&world, "client", "command_list_begin\nadd Evening.wav\nplay\ncommand_list_end");
    let heard = |line: &str| player.log().contains(line);
    let played = "player: played \"Evening.wav\"";
    world.until("the song has been played, or cannot be", || heard(played) || heard("Evening.wav'"));
    assert!(heard(played) && !heard("Evening.wav'"), "{}", player.log());
    assert!(announcer.runs() && player.runs());
    for log in [announcer.log(), player.log()] {
        assert!(!log.contains("line "), "a line of the file is not understood: {log}");
    }
}
