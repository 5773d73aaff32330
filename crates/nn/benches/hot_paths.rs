//! The workloads as criterion benchmarks: `cargo bench -p nn -- W6`.

// Made by the macro of criterion.
#![allow(missing_docs)]

// What is run once, and how it is printed, belongs to the example `bench`.
#[allow(dead_code)]
#[path = "workloads/mod.rs"]
mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};

fn hot_paths(criterion: &mut Criterion) {
    for number in ["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W9", "W10", "W11"] {
        let works = match workloads::repeated(number) {
            Ok(works) => works,
            Err(error) => {
                eprintln!("{number}: {error}");
                continue;
            }
        };
        for mut work in works {
            criterion.bench_function(&format!("{} {}", work.name, work.metric), |bencher| bencher.iter(|| (work.run)().ok()));
        }
    }
}

criterion_group!(benches, hot_paths);
criterion_main!(benches);
