//! `seeds DIR` writes what the fuzzers begin from: `DIR/<target>/<name>`.

use std::path::Path;
use std::{env, fs, io};

use properties::samples;

fn main() -> io::Result<()> {
    let directory = env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds DIR"))?;
    let targets =
        [("stream", samples::streams()?), ("tables", samples::updates()?), ("values", samples::columns()?)];
    for (target, samples) in targets {
        let corpus = Path::new(&directory).join(target);
        fs::create_dir_all(&corpus)?;
        for (name, bytes) in samples {
            fs::write(corpus.join(name), bytes)?;
        }
    }
    Ok(())
}
