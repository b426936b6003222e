//! Which camera or service a word means. Set-ups before this one had two units for each camera, `seg-NAME` and `uploader-NAME`; whoever
//! types those is understood. Pure.

/// The service that records.
pub const RECORDER: &str = "camera";
/// The service that sends.
pub const UPLOADER: &str = "upload";

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All cameras, and all that is done with them.
    All,
    /// A camera, and all that is done with it.
    Camera(String),
    /// Its recording.
    Recording(String),
    /// Its upload.
    Upload(String),
    /// One of the two services.
    Service(&'static str),
}

/// What a word means where there are these cameras.
///
/// # Errors
/// It means nothing; the text says what would.
pub fn of(word: &str, cameras: &[String]) -> Result<Target, String> {
    let unit = word.strip_suffix(".service").unwrap_or(word);
    let camera = |name: &str| cameras.iter().find(|camera| *camera == name).cloned();
    let prefixed = |prefix: &str| unit.strip_prefix(prefix).and_then(camera);
    let exact = || camera(word).map(Target::Camera);
    let all = || (word == "all").then_some(Target::All);
    let recording = || prefixed("seg-").map(Target::Recording);
    let upload = || prefixed("uploader-").or_else(|| prefixed("upload-")).map(Target::Upload);
    let service = || [RECORDER, UPLOADER].into_iter().find(|service| *service == unit).map(Target::Service);
    let found = exact().or_else(all).or_else(recording).or_else(upload).or_else(service);
    found.ok_or_else(|| {
        let cameras = cameras.join(" ");
        format!("`{word}` is no camera of this machine; there are {cameras}, all, and units such as seg-NAME, uploader-NAME, {RECORDER}, {UPLOADER}")
    })
}

impl Target {
    /// Whether this camera is to be looked at.
    pub fn looks_at(&self, camera: &str) -> bool {
        match self {
            Target::All | Target::Service(_) => true,
            Target::Camera(name) | Target::Recording(name) | Target::Upload(name) => name == camera,
        }
    }

    /// Whose log is to be shown.
    pub fn services(&self) -> &'static [&'static str] {
        match self {
            Target::All | Target::Camera(_) => &[RECORDER, UPLOADER],
            Target::Upload(_) | Target::Service(UPLOADER) => &[UPLOADER],
            Target::Recording(_) | Target::Service(_) => &[RECORDER],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(word: &str) -> Result<Target, String> {
        of(word, &["cam1".into(), "cam2".into()])
    }

    #[test]
    fn every_word_of_before_is_understood() {
        let cam1 = || "cam1".to_owned();
        for (word, target) in [
            ("cam1", Target::Camera(cam1())),
            ("all", Target::All),
            ("seg-cam1", Target::Recording(cam1())),
            ("seg-cam1.service", Target::Recording(cam1())),
            ("uploader-cam1", Target::Upload(cam1())),
            ("uploader-cam1.service", Target::Upload(cam1())),
            ("upload-cam1", Target::Upload(cam1())),
            ("camera", Target::Service("camera")),
            ("upload.service", Target::Service("upload")),
        ] {
            assert_eq!(meaning(word), Ok(target), "{word}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_would() {
        for word in ["cam3", "seg-cam3", "cam1.service", "CAM1", "", "all.service", "sshd", "../cam1"] {
            assert!(
                meaning(word).unwrap_err().contains("there are cam1 cam2, all, and units such as seg-NAME"),
                "{word}"
            );
        }
    }

    #[test]
    fn a_camera_may_be_called_like_anything() {
        assert_eq!(of("upload", &["upload".into()]), Ok(Target::Camera("upload".into())));
        assert_eq!(of("seg-seg-cam1", &["seg-cam1".into()]), Ok(Target::Recording("seg-cam1".into())));
    }

    #[test]
    fn the_log_is_that_of_whoever_does_it() {
        let services = |word: &str| meaning(word).unwrap().services().join(" ");
        assert_eq!(
            ["cam1", "seg-cam1", "uploader-cam1", "all", "upload", "camera"].map(services),
            ["camera upload", "camera", "upload", "camera upload", "upload", "camera"]
        );
    }
}
