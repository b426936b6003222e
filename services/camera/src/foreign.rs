//! Recordings in a camera's folder that are not ours, such as `home-cam-1-00042.ts` of an older recorder. Nobody uploads them, and they take
//! room from those that are uploaded; so they are named, once for each camera.

use std::collections::BTreeSet;
use std::path::Path;

/// What was named already.
#[derive(Debug, Default)]
pub struct Foreign(BTreeSet<String>);

impl Foreign {
    /// Looks at all cameras, and names what is new.
    pub fn look(&mut self, ram_dir: &Path) {
        for (camera, folder) in segments::cameras(ram_dir).unwrap_or_default() {
            if !self.0.contains(&camera)
                && let Some(words) = words(&folder)
            {
                tracing::warn!("{camera}: {words}");
                self.0.insert(camera);
            }
        }
    }
}

fn words(folder: &Path) -> Option<String> {
    let all = segments::folder::foreign_recordings(folder).unwrap_or_default();
    let first = all.first()?;
    let more = if all.len() > 1 { format!(" and {} more", all.len() - 1) } else { String::new() };
    Some(format!(
        "{first}{more} in {} are none of this program's recordings: nobody uploads them, and they take room from those that are; \
         stop whatever makes them, and move them away or delete them",
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_recorder_made_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let own = segments::Name::new(1000, 1, 1);
        for file in [own.segment(), own.part(), own.label(), ".hidden".into(), "note.txt".into()] {
            std::fs::write(dir.path().join(file), "x").unwrap();
        }
        assert_eq!(words(dir.path()), None);
        for file in ["seg-00042.ts", "seg-00041.ts", "old.mp4"] {
            std::fs::write(dir.path().join(file), "x").unwrap();
        }
        let words = words(dir.path()).unwrap();
        assert!(words.starts_with("old.mp4 and 2 more in ") && words.contains("delete them"), "{words}");
    }
}
