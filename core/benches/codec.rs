//! How fast LTX files are written, read and merged, in pages of the database per second. By hand:
//! `cargo bench -p litestream-core --bench codec`. Everything stays in memory; the figures are CPU speed.

use std::time::Duration;

use litestream_core::clock;
use litestream_core::ltx::{Decoder, Encoder, Header, LtxError, PageSize, Pgno, Txid, compact};

const PAGES: u32 = 16 * 1024;
const ROUNDS: usize = 7;
/// Raw files merged into one in the last measurement.
const INPUTS: u32 = 30;

fn main() -> Result<(), LtxError> {
    println!("{:>22} {:>12} {:>12}", "", "median GB/s", "best GB/s");
    for bytes in [512, 4096, 65536] {
        let page_size = PageSize::new(bytes).expect("a legal page size");
        let pages = PAGES.min((256 << 20) / bytes);
        let database = Database::new(page_size, pages);
        let size = u64::from(pages) * u64::from(bytes);

        report(&format!("encode {bytes}"), size, || database.snapshot(1).map(drop))?;
        let snapshot = database.snapshot(1)?;
        report(&format!("decode {bytes}"), size, || decode(&snapshot, page_size))?;

        let mut inputs = vec![snapshot];
        for txid in 2..=INPUTS {
            inputs.push(database.change(txid)?);
        }
        report(&format!("merge {INPUTS} files {bytes}"), size, || {
            let decoders = inputs.iter().map(|file| Decoder::new(&file[..])).collect::<Result<Vec<_>, _>>()?;
            compact(decoders, std::io::sink()).map(drop)
        })?;
    }
    Ok(())
}

/// Pages that are half noise, half repetition: about what real ones compress to.
struct Database {
    page_size: PageSize,
    pages: Vec<Vec<u8>>,
}

impl Database {
    fn new(page_size: PageSize, pages: u32) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut page = || {
            let mut bytes = vec![0; page_size.bytes()];
            random.fill(&mut bytes[..page_size.bytes() / 2]);
            bytes
        };
        Self { page_size, pages: (0..pages).map(|_| page()).collect() }
    }

    fn header(&self, min: u32, max: u32) -> Header {
        let commit = self.pages.len() as u32;
        Header::new(self.page_size, commit, Txid(min.into()), Txid(max.into()), clock::unix_millis())
    }

    /// Every page, as a file of TXID 1 to `max`.
    fn snapshot(&self, max: u32) -> Result<Vec<u8>, LtxError> {
        let mut encoder = Encoder::new(Vec::new(), &self.header(1, max))?;
        for (index, page) in self.pages.iter().enumerate() {
            encoder.encode_page(Pgno(index as u32 + 1), page)?;
        }
        Ok(encoder.finish()?.0)
    }

    /// Every hundredth page, as one transaction.
    fn change(&self, txid: u32) -> Result<Vec<u8>, LtxError> {
        let mut encoder = Encoder::new(Vec::new(), &self.header(txid, txid))?;
        for pgno in (txid..=self.pages.len() as u32).step_by(100) {
            encoder.encode_page(Pgno(pgno), &self.pages[pgno as usize - 1])?;
        }
        Ok(encoder.finish()?.0)
    }
}

fn decode(file: &[u8], page_size: PageSize) -> Result<(), LtxError> {
    let mut decoder = Decoder::new(file)?;
    let mut page = vec![0; page_size.bytes()];
    while decoder.next_page(&mut page)?.is_some() {}
    decoder.finish().map(drop)
}

/// Runs `work` on `bytes` of pages some times, and prints its speed.
fn report(what: &str, bytes: u64, mut work: impl FnMut() -> Result<(), LtxError>) -> Result<(), LtxError> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = clock::monotonic();
        work()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let speed = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    println!("{what:>22} {:12.2} {:12.2}", speed(times[ROUNDS / 2]), speed(times[0]));
    Ok(())
}
