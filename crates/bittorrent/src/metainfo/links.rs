//! Symbolic links (BEP 47) that stay inside their torrent.
//!
//! A link's target is given from the torrent's root. It is kept only if every step of the way is a
//! directory, a file or another good link of the torrent, and the last is a file or directory in
//! the end. A path that climbs (`..`) is no good at all. So whoever creates the links that are left
//! as relative ones, where their paths say, can follow any chain of them and never leaves the
//! folder.

use super::File;
use super::limits::{LINK_DEPTH_MAX, PATH_SIZE_MAX};
use std::collections::{HashMap, HashSet};

/// A link that is good.
#[derive(Clone)]
struct Resolved {
    /// The path it names, from the folder the torrent is saved in.
    target: String,
    /// The file or directory that is reached in the end.
    end: String,
}

/// Checks all links and keeps the targets of the good ones, as paths like those of files. `files`
/// have the paths that the torrent gave them, before any were changed to keep them apart; `renamed`
/// says what a file is called now.
pub(super) fn settle(files: &[File], renamed: impl Fn(usize) -> Box<str>) -> Vec<Option<Box<str>>> {
    let mut links = Links::new(files);
    (0..files.len())
        .map(|index| {
            let target = links.resolve(index, 0)?.target;
            // A directory keeps its name, should a file have the same.
            let file = links.by_path.get(target.as_str());
            Some(match file.filter(|_| !links.directories.contains(target.as_str())) {
                Some(&index) => renamed(index),
                None => target.into(),
            })
        })
        .collect()
}

struct Links<'a> {
    files: &'a [File],
    by_path: HashMap<&'a str, usize>,
    directories: HashSet<&'a str>,
    /// The links looked at so far, by their index; `None` for those that are no good.
    resolved: HashMap<usize, Option<Resolved>>,
}

impl<'a> Links<'a> {
    fn new(files: &'a [File]) -> Self {
        let mut links = Links {
            files,
            by_path: HashMap::new(),
            directories: HashSet::new(),
            resolved: HashMap::new(),
        };
        for (index, file) in files.iter().enumerate().filter(|(_, file)| !file.is_pad()) {
            links.by_path.entry(file.path()).or_insert(index);
            let mut path = file.path();
            while let Some((parent, _)) = path.rsplit_once('/')
                && links.directories.insert(parent)
            {
                path = parent;
            }
        }
        links
    }

    /// What the link `index` names and leads to; `None` if it is none, or no good.
    fn resolve(&mut self, index: usize, depth: usize) -> Option<Resolved> {
        if let Some(resolved) = self.resolved.get(&index) {
            return resolved.clone();
        }
        let file = &self.files[index];
        let target = file.symlink.as_deref()?;
        if depth >= LINK_DEPTH_MAX {
            return None;
        }
        // Should the way lead back here, it leads nowhere.
        self.resolved.insert(index, None);
        // From the torrent's root; or, as some old torrents have it, from the link itself.
        let origins = [file.path.split_once('/'), file.path.rsplit_once('/')];
        let resolved = origins.into_iter().flatten().find_map(|(from, _)| {
            let target = format!("{from}/{target}");
            let end = self.follow(&target, depth)?;
            Some(Resolved { target, end })
        });
        self.resolved.insert(index, resolved.clone());
        resolved
    }

    /// Walks `path` from the front, replacing links by what they lead to.
    fn follow(&mut self, path: &str, depth: usize) -> Option<String> {
        let mut walked = String::new();
        for name in path.split('/') {
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(name);
            if walked.len() > PATH_SIZE_MAX {
                return None;
            }
            if self.directories.contains(walked.as_str()) {
                continue;
            }
            // A file in the middle of the path is found out at the next step.
            let index = *self.by_path.get(walked.as_str())?;
            if self.files[index].is_symlink() {
                walked = self.resolve(index, depth + 1)?.end;
            }
        }
        Some(walked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(path: &str, target: &str) -> File {
        let mut file = File::for_test(path);
        file.attributes.symlink = true;
        file.symlink = Some(target.into());
        file
    }

    fn settled(files: &[File]) -> Vec<Option<Box<str>>> {
        settle(files, |index| files[index].path.clone())
    }

    fn check(files: &[(&str, Option<&str>)], expected: &[Option<&str>]) {
        let files: Vec<_> = files
            .iter()
            .map(|(path, target)| match target {
                Some(target) => link(path, target),
                None => File::for_test(path),
            })
            .collect();
        let found = settled(&files);
        assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn good_links_stay() {
        check(&[("t/f", None), ("t/l", Some("f"))], &[None, Some("t/f")]);
        check(&[("t/d/f", None), ("t/l", Some("d"))], &[None, Some("t/d")]);
        check(&[("t/d/f", None), ("t/d/l", Some("f"))], &[None, Some("t/d/f")]);
        check(
            &[("t/H", Some("V/C/H")), ("t/V/C", Some("V/A")), ("t/V/A/H/h", None)],
            &[Some("t/V/C/H"), Some("t/V/A"), None],
        );
    }

    #[test]
    fn links_that_lead_nowhere_go() {
        check(&[("t/f", None), ("t/l", Some("g"))], &[None, None]);
        check(&[("t/f", None), ("t/l", Some("f/x"))], &[None, None]);
        check(&[("t/f", None), ("t/l", Some(""))], &[None, None]);
        check(&[("t/l", Some("l"))], &[None]);
        check(&[("t/l", Some("m")), ("t/m", Some("l"))], &[None, None]);
        check(&[("t/l", Some("l/l")), ("t/d/f", None)], &[None, None]);
        check(&[("l", Some("l"))], &[None]);
    }

    #[test]
    fn long_chains_end() {
        let mut files: Vec<_> =
            (0..100_000).map(|i| link(&format!("t/{i}"), &(i + 1).to_string())).collect();
        files.push(File::for_test("t/100000"));
        let good = settled(&files).iter().flatten().count();
        assert!((LINK_DEPTH_MAX..100_000).contains(&good), "{good}");
    }

    proptest! {
        #[test]
        fn a_good_link_ends_at_something_that_is_no_link(
            entries in prop::collection::vec(
                ("(a|b|c)(/(a|b|c)){0,2}", prop::option::of("(a|b|c)(/(a|b|c)){0,2}")), 1..12),
        ) {
            let mut files: Vec<_> = entries
                .iter()
                .map(|(path, target)| match target {
                    Some(target) => link(&format!("t/{path}"), target),
                    None => File::for_test(&format!("t/{path}")),
                })
                .collect();
            // Two files at one path are kept apart elsewhere.
            files.sort_by(|a, b| a.path.cmp(&b.path));
            files.dedup_by(|a, b| a.path == b.path);
            let directories: HashSet<String> = files
                .iter()
                .flat_map(|file| file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned()))
                .collect();
            files.retain(|file| !directories.contains(&*file.path));
            let targets = settled(&files);
            let link_at = |path: &str| files.iter().position(|file| &*file.path == path)
                .filter(|&at| files[at].is_symlink());
            for target in targets.iter().flatten() {
                // As an operating system would walk it, a hop at a time.
                let mut path = target.to_string();
                let mut hops = 0;
                'walk: loop {
                    for (at, _) in path.clone().match_indices('/').chain([(path.len(), "")]) {
                        if let Some(link) = link_at(&path[..at]) {
                            let to = targets[link].as_deref();
                            prop_assert!(to.is_some(), "{} goes by a bad link: {:?}", target, files);
                            path = format!("{}{}", to.unwrap_or_default(), &path[at..]);
                            hops += 1;
                            prop_assert!(hops <= 1000, "{} is circular: {:?}", target, files);
                            continue 'walk;
                        }
                    }
                    break;
                }
                prop_assert!(
                    directories.contains(&path) || files.iter().any(|file| *file.path == *path),
                    "{} ends at {}: {:?}", target, path, files
                );
            }
        }
    }
}
