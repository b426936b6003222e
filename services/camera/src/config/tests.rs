//! Settings are files in a scratch directory; refusals name the file and the remedy.

use super::*;
use std::fs;
use tempfile::TempDir;

struct Etc(TempDir);

impl Etc {
    fn new(files: &[(&str, &str)]) -> Etc {
        let etc = Etc(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = etc.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        etc
    }

    fn load(&self, cameras: &str, more: &[(&str, &str)]) -> Result<Config, Failure> {
        let path = |name: &str| self.0.path().join(name).into_os_string();
        let own = [
            ("CAMERAS", cameras.into()),
            ("CAMERA_DIR", path("cameras")),
            ("DEFAULTS_DIR", path("default")),
            ("SWITCH_DIR", path("switches")),
        ];
        let more = more.iter().map(|&(name, value)| (OsString::from(name), OsString::from(value)));
        let environment = own.map(|(name, value)| (OsString::from(name), value)).into_iter().chain(more);
        Config::from_environment(&Options::default(), environment.collect())
    }

    fn refused(&self, cameras: &str, more: &[(&str, &str)]) -> String {
        self.load(cameras, more).unwrap_err().to_string()
    }
}

#[test]
fn a_camera_is_a_file_or_a_folder_and_what_setdur_wrote_wins() {
    let etc = Etc::new(&[
        ("cameras/cam1", "URL=http://192.168.1.33/stream\nSEGMENT_SEC=30\nDAY_URL=http://192.168.1.33:8080/day\n"),
        ("cameras/cam2/URL", "http://192.168.1.36/stream\n"),
        ("default/seg-cam1", "# Per-camera overrides for seg-cam1\nSEGMENT_SEC=180\nFPS=15\nBITRATE=1000\n"),
    ]);
    let config = etc.load("cam1 cam2", &[]).unwrap();
    let [one, two] = &config.cameras[..] else { panic!("{:?}", config.cameras) };
    assert_eq!((one.url.host(), one.recording.segment.as_secs()), ("192.168.1.33", 180));
    assert_eq!(one.day_url.as_ref().map(Url::port), Some(8080));
    assert_eq!((two.url.host(), two.recording.segment.as_secs(), two.recording.fps), ("192.168.1.36", 20, 15.0));
    assert_eq!((config.live, config.ram_bytes, config.encoder), (None, None, Encoder::Auto));
}

#[test]
fn a_camera_that_cannot_be_used_leaves_the_others_alone() {
    let etc = Etc::new(&[("cameras/cam1", "URL=http://cam/\n"), ("cameras/cam2", "URL=rtsp://cam/\n")]);
    let config = etc.load("cam1 a/b cam2 cam3", &[]).unwrap();
    assert_eq!(config.cameras.len(), 1);
    let told: Vec<_> = config.unusable.iter().map(|(name, bad)| format!("{name}: {bad}")).collect();
    assert!(told[0].contains("`a/b` is no name of a camera; use letters"), "{told:?}");
    assert!(told[1].contains("/cameras/cam2: URL: \"rtsp://cam/\" does not begin with http://"), "{told:?}");
    assert!(told[2].contains("/cameras/cam3: URL: is not set; write URL="), "{told:?}");
}

#[test]
fn a_switch_goes_before_the_settings() {
    let etc = Etc::new(&[("cameras/cam1", "URL=http://cam/\n"), ("cameras/cam2", "URL=http://cam/\nRECORD=no\n")]);
    let on = || {
        let config = etc.load("cam1 cam2", &[]).unwrap();
        config.cameras.iter().map(|camera| camera.recording.on).collect::<Vec<_>>()
    };
    assert_eq!(on(), [true, false]);
    let places = etc.load("cam1", &[]).unwrap().places;
    places.switch("cam1", Some(false)).unwrap();
    places.switch("cam2", Some(true)).unwrap();
    assert_eq!(on(), [false, true]);
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let example = |path: &str| {
        PathBuf::from(format!("{}/../../example_config/client/etc/pistop/{path}", env!("CARGO_MANIFEST_DIR")))
    };
    let sources = Sources { config: Some(example("camera.toml")), ..Sources::default() };
    let settings = Settings::load(SETTINGS, sources).unwrap();
    for Setting { key, default, .. } in SETTINGS {
        assert_eq!(settings.text(key).unwrap_or_default(), *default, "{key}");
        assert_eq!(settings.origin(key), runner::settings::Origin::ConfigFile, "{key} is missing in the example");
    }
    let camera: std::collections::BTreeMap<_, _> =
        runner::envfile::read(&example("cameras/cam1")).unwrap().into_iter().collect();
    for setting in CAMERA {
        let shown = camera.get(&setting.variable());
        assert!(shown.is_some_and(|shown| setting.default.is_empty() || shown == setting.default), "{}", setting.key);
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_place_and_the_remedy() {
    let etc = Etc::new(&[
        ("cameras/cam1", "URL=http://cam/\n"),
        ("default/seg-cam1", "SEGMENT_SEC=0\n"),
        ("cameras/cam2/URL", "http://cam/"),
        ("cameras/cam2/FPS", "many"),
        ("cameras/cam3", "URL=http://cam/\nsegment twenty\n"),
    ]);
    let told = etc.refused("cam1", &[]);
    assert!(told.contains("default/seg-cam1: SEGMENT_SEC: `0` is too little or too much; give 1 to 3600"), "{told}");
    let told = etc.refused("cam2", &[]);
    assert!(told.contains("cameras/cam2/FPS: `many` is no number"), "{told}");
    assert!(etc.refused("cam3", &[]).contains("line 2 is no NAME=VALUE"));
    assert!(
        etc.refused("", &[]).contains("CAMERAS: names no camera") || etc.refused("", &[]).contains("names no camera")
    );
    assert!(etc.refused("cam4", &[]).contains("cam4: URL: is not set"));
    for (name, value, remedy) in [
        ("LIVE", "here", "as in 127.0.0.1:8090"),
        ("ENCODER", "divx", "write auto, hardware or x264"),
        ("DAY", "26:00", "as in 06:00"),
        ("RAM_MOUNT", "much", "as in 1024m"),
        ("RAM_BYTES", "1 GB", "in digits"),
    ] {
        let told = etc.refused("cam1", &[(name, value)]);
        assert!(told.contains(remedy) && told.contains(name), "{told}");
    }
}

#[test]
fn two_cameras_with_one_stream_are_named() {
    let [one, two] = [("cameras/cam1", "URL=http://cam/\n"), ("cameras/cam2", "URL=http://cam:80/\n")];
    let config = Etc::new(&[one, two, ("cameras/cam3", "URL=http://cam/3\n")]).load("cam1 cam2 cam3", &[]).unwrap();
    let told = shared_streams(&config.cameras);
    assert_eq!(told, ["cam1 and cam2 have one URL, and an ESP32 serves one of them; give each its own"]);
}
