//! `fserver` as a service of the real daemontools: svscan, supervise and multilog around it.

use super::control::Control;
use super::place::Place;
use super::process::Process;
use super::server::ServerPlan;
use super::{executable, read};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;

/// A service directory under svscan, with a multilog of its own.
#[derive(Debug)]
pub struct Service {
    place: Place,
    control: Control,
    address: SocketAddr,
    _svscan: Process,
}

impl Service {
    pub(super) fn start(plan: &ServerPlan) -> Self {
        let place = plan.place().clone();
        let address = SocketAddr::new(place.world().address(), place.world().free_port());
        let words: Vec<String> = plan.words().iter().map(|word| format!("'{word}'")).collect();
        let run = format!("#!/bin/sh\nexec 2>&1\nexec {} --listen {address}\n", words.join(" "));
        executable(&place.path("svscan/fserver/run"), &run);
        executable(&place.path("svscan/fserver/log/run"), "#!/bin/sh\nexec multilog t ./main\n");
        let mut svscan = place.world().command("svscan");
        let svscan = Process::start(place.world(), svscan.arg(place.path("svscan")), &place.path("svscan"));
        let service = Self { control: Control::of(&place), place, address, _svscan: svscan };
        service.until_log("listening on ");
        service
    }

    /// Where it listens, after each of its starts.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn directory(&self) -> PathBuf {
        self.place.path("svscan/fserver")
    }

    /// Runs `svc` with an option, as in `-d`.
    #[track_caller]
    pub fn svc(&self, option: &str) {
        let status = self.place.world().command("svc").arg(option).arg(self.directory()).status();
        assert!(status.expect("svc is installed").success());
    }

    /// What `svstat` says, without the directory.
    pub fn svstat(&self) -> String {
        let output = self.place.world().command("svstat").arg(self.directory()).output().expect("svstat is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_once(": ").map(|(_, state)| state.trim().to_owned()).unwrap_or(text)
    }

    /// The process id, while it is up.
    pub fn pid(&self) -> Option<Pid> {
        let state = self.svstat();
        let (_, rest) = state.split_once("up (pid ")?;
        rest.split_once(')')?.0.parse().ok().map(Pid::from_raw)
    }

    /// What multilog has written.
    pub fn log(&self) -> String {
        read(&self.directory().join("log/main/current"))
    }

    /// Waits until the log holds this text.
    #[track_caller]
    pub fn until_log(&self, text: &str) {
        let what = format!("the log of service {} holds `{text}`", self.place.name());
        self.place.world().until(&what, || self.log().contains(text));
    }

    /// Waits until `svstat` says this.
    #[track_caller]
    pub fn until_svstat(&self, text: &str) {
        let what = format!("svstat says that {} is `{text}`", self.place.name());
        self.place.world().until(&what, || self.svstat().contains(text));
    }
}

impl Deref for Service {
    type Target = Control;
    fn deref(&self) -> &Control {
        &self.control
    }
}
