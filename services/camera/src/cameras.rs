//! The cameras of a run: those that are recorded, and those whose settings cannot be used yet. What changes in their settings and switches
//! counts without a new start, and no camera notices what happens to another.

use crate::config::{self, CAMERA, Camera, Config};
use crate::live::Pictures;
use crate::presets::{self, Times};
use crate::recorder::{self, Outlets, Surroundings};
use crate::status::Board;
use crate::steady::Steady;
use protocol::fact::Fact;
use runner::exit::Failure;
use runner::settings::BadConfig;
use segments::places::{Changed, Places};
use std::sync::PoisonError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// All of them.
#[derive(Debug)]
pub struct Cameras {
    places: Places,
    times: Times,
    around: Surroundings,
    board: Board,
    pictures: Pictures,
    all: Vec<Watched>,
    recorders: JoinSet<Result<(), Failure>>,
}

impl Cameras {
    /// Begins to record those that can be.
    ///
    /// # Errors
    /// There can be no folder for one.
    pub fn start(
        config: &Config,
        around: &Surroundings,
        board: &Board,
        pictures: Pictures,
    ) -> Result<Cameras, Failure> {
        let mut cameras = Cameras {
            places: config.places.clone(),
            times: Times { day: config.day, night: config.night },
            around: around.clone(),
            board: board.clone(),
            pictures,
            all: Vec::new(),
            recorders: JoinSet::new(),
        };
        for (name, bad) in &config.unusable {
            cameras.leave_out(name, bad);
        }
        for camera in &config.cameras {
            let folder = around.ram.folder(&camera.name);
            let bad = |why| {
                Failure::Permanent(format!("{}: {why}; set RAM_DIR to a folder for recordings", folder.display()))
            };
            std::fs::create_dir_all(&folder).map_err(bad)?;
            let tell = Some(cameras.record(camera));
            cameras.all.push(Watched { tell, ..Watched::new(&camera.name) });
        }
        config::shared_streams(&config.cameras).iter().for_each(|words| tracing::warn!("{words}"));
        Ok(cameras)
    }

    /// It is looked at again when its settings change.
    fn leave_out(&mut self, name: &str, bad: &BadConfig) {
        tracing::error!("camera `{name}` is not recorded: {bad}");
        self.around.house.say(Fact::CameraOffline { camera: name.into(), why: format!("is not recorded: {bad}") });
        if segments::is_camera_name(name) {
            self.around.ram.ledgers().unusable(name, bad.to_string());
            self.all.push(Watched::new(name));
        }
    }

    fn record(&mut self, camera: &Camera) -> watch::Sender<Camera> {
        let (back, came_back) = mpsc::unbounded_channel();
        let (tell, told) = watch::channel(camera.clone());
        let (picture, shown) = watch::channel(None);
        let outlets = Outlets { picture, board: self.board.clone(), back };
        self.recorders.spawn(recorder::run(told.clone(), self.around.clone(), outlets));
        tokio::spawn(presets::keep(told, self.times, came_back));
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner).insert(camera.name.clone(), shown);
        tell
    }

    /// Looks at the settings and switches of all; whether one is just being changed, and has to be looked at again soon.
    pub fn look(&mut self) -> bool {
        for place in 0..self.all.len() {
            if let Some(camera) = self.all[place].look(&self.places) {
                tracing::info!("{}: its settings can be used now, and it is recorded", camera.name);
                self.all[place].tell = Some(self.record(&camera));
            }
        }
        self.all.iter().any(|camera| camera.settings.is_uncertain())
    }

    /// When one gives up, which only a new process mends.
    pub async fn ended(&mut self) -> Failure {
        match self.recorders.join_next().await {
            Some(Ok(Err(why))) => why,
            Some(Err(why)) => Failure::Temporary(format!("a recorder died: {why}")),
            // They end when they are told to, and there is no run without one.
            Some(Ok(Ok(()))) | None => std::future::pending().await,
        }
    }

    /// Waits until the tails of all are closed, for which they were told.
    pub async fn close(mut self) {
        while let Some(ended) = self.recorders.join_next().await {
            if let Ok(Err(why)) = ended {
                tracing::error!("{why}");
            }
        }
    }
}

/// One whose settings and switch may change.
#[derive(Debug)]
struct Watched {
    name: String,
    /// Its recorder; none while its settings cannot be used.
    tell: Option<watch::Sender<Camera>>,
    /// When what is said about it was changed. Nothing is known at first: that was read before the program had begun.
    settings: Steady<Changed>,
    /// What its switch says, if it was looked at.
    switch: Option<Option<bool>>,
}

impl Watched {
    fn new(name: &str) -> Watched {
        Watched { name: name.into(), tell: None, settings: Steady::default(), switch: None }
    }

    /// A camera that can be recorded from now on.
    fn look(&mut self, places: &Places) -> Option<Camera> {
        let first = !self.settings.is_known();
        let changed = self.settings.look(places.changed(&self.name, CAMERA));
        let switch = places.switched(&self.name);
        let turned = self.switch.replace(switch) != Some(switch);
        match &self.tell {
            None if changed => self.usable(places, first),
            Some(tell) if changed => self.reread(tell, places, first),
            Some(tell) if turned => self.turn(tell, switch, config::camera(places, &self.name).ok()),
            _ => None,
        }
    }

    fn usable(&self, places: &Places, first: bool) -> Option<Camera> {
        let told = config::camera(places, &self.name);
        if let (Err(bad), false) = (&told, first) {
            tracing::error!("camera `{}` is still not recorded: {bad}", self.name);
        }
        told.ok()
    }

    /// With settings that cannot be used everything stays as it is, but the switch counts.
    fn reread(&self, tell: &watch::Sender<Camera>, places: &Places, first: bool) -> Option<Camera> {
        match config::camera(places, &self.name) {
            Ok(new) => {
                if replace(tell, new) || !first {
                    tracing::info!("{}: its settings were read again", self.name);
                }
                None
            }
            Err(bad) => {
                tracing::warn!("{}: goes on as before: {bad}", self.name);
                self.turn(tell, self.switch.flatten(), None)
            }
        }
    }

    /// A switch is replaced whole: it counts at once. Without one it is as the settings say.
    fn turn(&self, tell: &watch::Sender<Camera>, switch: Option<bool>, told: Option<Camera>) -> Option<Camera> {
        let mut new = tell.borrow().clone();
        new.recording.on = switch.or(told.map(|told| told.recording.on)).unwrap_or(new.recording.on);
        replace(tell, new);
        None
    }
}

/// Whether that is another one.
fn replace(tell: &watch::Sender<Camera>, new: Camera) -> bool {
    tell.send_if_modified(|old| {
        let is_news = *old != new;
        *old = new;
        is_news
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn places(dir: &Path, text: &str) -> Places {
        let [camera_dir, defaults_dir, switch_dir] = ["cameras", "default", "switches"].map(|name| dir.join(name));
        std::fs::create_dir(&camera_dir).unwrap();
        std::fs::write(camera_dir.join("cam1"), text).unwrap();
        Places { camera_dir, defaults_dir, switch_dir }
    }

    fn recorded(places: &Places) -> (Watched, watch::Receiver<Camera>) {
        let (tell, told) = watch::channel(config::camera(places, "cam1").unwrap());
        (Watched { tell: Some(tell), ..Watched::new("cam1") }, told)
    }

    #[test]
    fn what_changes_while_the_program_starts_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path(), "URL=http://cam/\n");
        let (mut watched, told) = recorded(&places);
        places.switch("cam1", Some(false)).unwrap();
        std::fs::write(places.camera_dir.join("cam1"), "URL=http://cam/\nFPS=7\n").unwrap();
        watched.look(&places);
        assert!(!told.borrow().recording.on, "a switch counts at once");
        watched.look(&places);
        assert_eq!(told.borrow().recording.fps, 7.0);
        places.switch("cam1", None).unwrap();
        watched.look(&places);
        assert!(told.borrow().recording.on);
    }

    #[test]
    fn a_file_that_is_half_written_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path(), "URL=http://cam/\nFPS=7\n");
        let (mut watched, mut told) = recorded(&places);
        let file = places.camera_dir.join("cam1");
        for (n, text) in ["URL=http://cam/\n", "URL=http://cam/\nFPS=9\n"].into_iter().enumerate() {
            std::fs::write(&file, text).unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(at).unwrap();
            watched.look(&places);
            assert!(!told.has_changed().unwrap(), "{text:?}");
        }
        watched.look(&places);
        assert_eq!(told.borrow_and_update().recording.fps, 9.0);
        watched.look(&places);
        assert!(!told.has_changed().unwrap());
    }

    #[test]
    fn a_camera_is_taken_up_when_its_settings_become_good() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path(), "URL=rtsp://cam/\n");
        let mut watched = Watched::new("cam1");
        assert!((0..3).all(|_| watched.look(&places).is_none()));
        let file = places.camera_dir.join("cam1");
        std::fs::write(&file, "URL=http://cam/\n").unwrap();
        std::fs::File::options().append(true).open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(watched.look(&places), None, "it may be half written");
        assert_eq!(watched.look(&places).unwrap().url, "http://cam/".parse().unwrap());
    }
}
