//! The fuzz targets on their seeds, without a fuzzer: what one found once stays found.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use targets::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_target_holds_on_its_seeds() {
    let mut broken = Vec::new();
    for (name, run) in TARGETS {
        let seeds = files(&folder("seeds").join(name));
        assert!(seeds.len() > 3, "{name} has hardly a seed");
        for seed in seeds {
            let bytes = fs::read(&seed).unwrap();
            // Cut off anywhere, it must hold too.
            let ends = (0..bytes.len().min(600)).chain([bytes.len()]);
            if catch_unwind(|| ends.for_each(|end| run(&bytes[..end]))).is_err() {
                broken.push(seed);
            }
        }
    }
    assert!(broken.is_empty(), "these seeds break their targets, as the panics above say: {broken:#?}");
}

#[test]
fn every_target_has_a_program_and_a_folder_of_seeds() {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |name: &str| -> Vec<String> {
        files(&folder(name))
            .iter()
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(stems("seeds"), names);
    assert_eq!(stems("fuzz_targets"), names);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}
