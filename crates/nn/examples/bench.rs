//! What the engine costs: `cargo run --release --example bench -- W1 W6/f32`, or `all`, prints one line of JSON for each measurement.
//!
//! `RAYON_NUM_THREADS` sets the number of threads, `BENCH_SECONDS` how long each workload is sampled. With `BENCH_CALLS` each is called so
//! many times and not measured.

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use std::time::Instant;

use serde_json::json;
use workloads::{Outcome, Work, network, repeated, scalar};

const ALL: [&str; 12] = ["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10", "W11", "W12"];

fn main() -> Outcome<()> {
    // The whole work is done inside the pool of threads, as training is.
    autograd::in_pool(|| run().map_err(|error| error.to_string())).map_err(Into::into)
}

fn run() -> Outcome<()> {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() || wanted.iter().any(|w| w == "all") {
        wanted = ALL.map(String::from).to_vec();
    }
    let number = |wanted: &str| wanted.split('/').next().unwrap_or_default().to_owned();
    if let Some(unknown) = wanted.iter().find(|w| !ALL.contains(&number(w).as_str())) {
        return Err(format!("no workload {unknown:?}; there are {}, and all", ALL.join(", ")).into());
    }
    for wanted in wanted {
        match number(&wanted).as_str() {
            "W8" => deep()?,
            "W12" => {
                let loss = network::digits(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv"))?;
                line("W12", "final loss", "-", [loss[0]; 4], 1, &loss);
                line("W12", "peak RSS", "MiB", [status("VmHWM:") / 1024.0; 4], 1, &loss);
            }
            number => {
                let calls = std::env::var("BENCH_CALLS").ok().and_then(|n| n.parse().ok());
                let works = repeated(number)?.into_iter().filter(|work| {
                    let rest = work.name.strip_prefix(&wanted);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
                for work in works {
                    match calls {
                        Some(calls) => call(work, calls)?,
                        None => measure(work)?,
                    }
                }
            }
        }
    }
    Ok(())
}

/// One line: the median, the best, and the tenth and ninetieth part of the samples.
fn line(workload: &str, metric: &str, unit: &str, [value, best, low, high]: [f64; 4], samples: usize, check: &[f64]) {
    let threads = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
    let threads: usize = threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let json = json!({
        "peer": "autograd", "workload": workload, "threads": threads, "metric": metric, "value": value, "unit": unit,
        "best": best, "lo": low.min(high), "hi": low.max(high), "reps": samples, "check": check,
    });
    println!("{json}");
}

/// Calls it so many times, without a clock: for instruments that count instructions.
fn call(mut work: Work, calls: usize) -> Outcome<()> {
    (0..calls).try_for_each(|_| (work.run)().map(|_| ()))
}

/// Warms up, then takes at least twenty samples; calls that are very short are taken in groups.
fn measure(mut work: Work) -> Outcome<()> {
    let budget: f64 = std::env::var("BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2.0);
    let start = Instant::now();
    let (mut calls, mut check) = (0, Vec::new());
    while calls < 3 || (start.elapsed().as_secs_f64() < budget * 0.15 && calls < 100_000) {
        check = (work.run)()?;
        calls += 1;
    }
    let once = start.elapsed().as_secs_f64() / f64::from(calls);
    let group = (200e-6 / once).ceil().max(1.0);
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < 20 || start.elapsed().as_secs_f64() < budget {
        let sample = Instant::now();
        let mut done = 0.0;
        while done < group {
            (work.run)()?;
            done += 1.0;
        }
        samples.push(sample.elapsed().as_secs_f64() / group);
    }
    samples.sort_by(f64::total_cmp);
    let at = |part: usize| (work.convert)(samples[(samples.len() - 1) * part / 100]);
    line(&work.name, work.metric, work.unit, [at(50), at(0), at(10), at(90)], samples.len(), &check);
    Ok(())
}

/// The deep chain, once, with its memory by node.
fn deep() -> Outcome<()> {
    let (before, start) = (status("VmRSS:"), Instant::now());
    let by_node = |kilobytes: f64| (kilobytes - before) * 1024.0 / scalar::DEEP as f64;
    let (mut built, mut peak) = (0.0, 0.0);
    let check = scalar::deep(|when| if when == "built" { built = by_node(status("VmRSS:")) } else { peak = by_node(status("VmHWM:")) })?;
    let seconds = start.elapsed().as_secs_f64();
    line("W8", "build bytes/node", "B", [built; 4], 1, &check[..1]);
    line("W8", "peak bytes/node", "B", [peak; 4], 1, &check);
    line("W8", "survived drop", "bool", [1.0; 4], 1, &[]);
    line("W8", "total", "s", [seconds; 4], 1, &[]);
    Ok(())
}

/// A line of what the system says about this process, in kilobytes; 0 where it says nothing.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
