//! The Unix socket by which programs of this machine come in. Its permissions, 0660 and the group of the settings, say
//! who may; the kernel's word on who the other end is, which no permission can get wrong, is asked as well.

use super::Shared;
use super::connection;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, Uid, User, chown, getgrouplist};
use protocol::fact::Fact;
use std::ffi::CString;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// After a connection could not be taken, as when all descriptors are used up.
const PAUSE: Duration = Duration::from_millis(500);
/// So many programs at a time.
const MOST: usize = 1024;

/// The socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Door {
    listener: StdListener,
    path: PathBuf,
    group: Option<Gid>,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Door {
    /// Opens it. A file that a dead agent left is replaced; a living one, and what is no socket, is not.
    pub(super) fn open(path: &Path, group: Option<&str>) -> Result<Door, String> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            let remedy = "stop the other one, or set DOOR to another path";
            return Err(format!(
                "{}: another fserver or fclient of this machine answers there; {remedy}",
                path.display()
            ));
        }
        let bad = |why: io::Error| {
            format!("{}: the door for programs cannot be opened: {why}; set DOOR to another path", path.display())
        };
        let group = group.and_then(|name| Group::from_name(name).ok().flatten()).map(|group| group.gid);
        let listener = bind(path).map_err(bad)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(bad)?;
        if let Some(group) = group.filter(|_| Uid::effective().is_root()) {
            chown(path, None, Some(group)).map_err(|why| bad(why.into()))?;
        }
        Ok(Door { listener, path: path.into(), group })
    }

    /// Takes connections until the agent ends.
    pub(super) async fn serve(self, shared: Rc<Shared>) {
        let listener = match self.listener.try_clone().and_then(UnixListener::from_std) {
            Ok(listener) => listener,
            Err(why) => return tracing::error!("{}: {why}; no program can reach the bus", self.path.display()),
        };
        let here = Rc::new(());
        for number in 1.. {
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(why) => {
                        tracing::warn!("{}: {why}; a program waits", self.path.display());
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            if Rc::strong_count(&here) > MOST {
                tracing::warn!("{MOST} programs are connected to the bus; one more is turned away");
                continue;
            }
            match self.stranger(&stream) {
                None => drop(tokio::task::spawn_local(connection::serve(shared.clone(), stream, number, here.clone()))),
                Some(who) => {
                    tracing::warn!("{who} may not use the bus; add the user to the group of {}", self.path.display());
                    let fact = Fact::StrangerRefused { address: who, what: "came to the door of the bus".into() };
                    shared.clerk.tell(&shared.settings.node, &fact);
                }
            }
        }
    }

    /// Who it is, if he may not come in: root may, this program's own user, and members of the group.
    fn stranger(&self, stream: &UnixStream) -> Option<String> {
        let Ok(who) = getsockopt(stream, PeerCredentials) else { return Some("somebody unknown".into()) };
        let (user, group) = (Uid::from_raw(who.uid()), Gid::from_raw(who.gid()));
        let known =
            user.is_root() || user == Uid::effective() || self.group.is_some_and(|ours| is_member(user, group, ours));
        (!known).then(|| format!("process {} of user {user}", who.pid()))
    }
}

fn bind(path: &Path) -> io::Result<StdListener> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match path.symlink_metadata() {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("something else than a socket is there"));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = StdListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_member(user: Uid, group: Gid, ours: Gid) -> bool {
    let listed = || {
        let name = CString::new(User::from_uid(user).ok()??.name).ok()?;
        Some(getgrouplist(&name, group).ok()?.contains(&ours))
    };
    group == ours || listed().unwrap_or(false)
}
