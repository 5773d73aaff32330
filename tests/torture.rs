//! The gradient checker on functions that are hard to check, half of them with a planted error; and the rules of other checkers on the same.

mod pairs;
mod peers;
mod special;

use std::{fs, path::Path};

use autograd::{Tensor, Var, check};

type Formula = dyn for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync + Send;

/// What is true of the gradient.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expect {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// There is none that could be right, or nobody can see it: the verdict that says so.
    Undefined(&'static str),
}

struct Case {
    name: String,
    x: Vec<Tensor<f64>>,
    f: Box<Formula>,
    expect: Expect,
    /// Whether the checker may say that it cannot tell.
    may_abstain: bool,
}

impl Case {
    fn new(
        name: String,
        x: Vec<Tensor<f64>>,
        f: impl for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync + Send + 'static,
        expect: Expect,
    ) -> Case {
        Case { name, x, f: Box::new(f), expect, may_abstain: false }
    }
}

/// Verdicts on right and on wrong gradients.
#[derive(Default, Debug, PartialEq)]
struct Score {
    confirmed: usize,
    false_alarms: usize,
    undecided_right: usize,
    caught: usize,
    missed: usize,
    undecided_wrong: usize,
}

impl Score {
    fn count(&mut self, expect: Expect, passed: bool, accused: bool) {
        let place = match (expect, passed, accused) {
            (Expect::Right, true, _) => &mut self.confirmed,
            (Expect::Right, false, true) => &mut self.false_alarms,
            (Expect::Right, false, false) => &mut self.undecided_right,
            (Expect::Wrong, true, _) => &mut self.missed,
            (Expect::Wrong, false, true) => &mut self.caught,
            (Expect::Wrong, false, false) => &mut self.undecided_wrong,
            (Expect::Undefined(_), ..) => return,
        };
        *place += 1;
    }

    fn row(&self, name: &str) -> String {
        let Score { confirmed, false_alarms, undecided_right, caught, missed, undecided_wrong } = self;
        format!("| {name} | {confirmed} | {false_alarms} | {undecided_right} | {caught} | {missed} | {undecided_wrong} |\n")
    }
}

#[test]
fn no_wrong_verdict_on_functions_that_are_hard_to_check() {
    let cases: Vec<Case> = pairs::cases().into_iter().chain(special::cases()).collect();
    let count = |is: fn(Expect) -> bool| cases.iter().filter(|case| is(case.expect)).count();
    let (right, wrong) = (count(|e| e == Expect::Right), count(|e| e == Expect::Wrong));
    assert!(cases.len() >= 150 && right.abs_diff(wrong) * 5 < cases.len(), "{right} right, {wrong} wrong");

    let mut failures = Vec::new();
    let [mut own, mut pytorch, mut jax] = [(); 3].map(|()| Score::default());
    for case in &cases {
        let report = check::slices(&case.f, &case.x.iter().collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let accused = report.count(check::Verdict::is_fault) > 0;
        own.count(case.expect, report.passed(), accused);
        let is_as_expected = match case.expect {
            Expect::Right => report.passed() || (case.may_abstain && !accused),
            Expect::Wrong => accused || (case.may_abstain && !report.passed()),
            Expect::Undefined(word) => !report.passed() && report.count(|v| v.word() == word) > 0,
        };
        if !is_as_expected {
            failures.push(format!("{} ({:?}):\n{report}", case.name, case.expect));
        }
        for (score, passed) in [(&mut pytorch, peers::pytorch(case)), (&mut jax, peers::jax(case))] {
            score.count(case.expect, passed, true);
        }
    }
    let mut table = String::from(
        "| | right: confirmed | false alarms | undecided | wrong: caught | missed | undecided |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    table += &own.row("this checker");
    table += &pytorch.row("PyTorch's rule");
    table += &jax.row("JAX's rule");
    println!("{} cases\n{table}", cases.len());
    let table = format!("\n{} cases, {right} with a right gradient and {wrong} with a wrong one:\n\n{table}\n", cases.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n\n"));
    in_the_docs(&table);
}

/// The table stands in the chapter on the checker; `UPDATE_DOCS=1` writes it there.
fn in_the_docs(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/trust-a-gradient.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- the table").unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of the table -->").unwrap();
    let new = format!("{before}<!-- the table{mark}-->\n{table}<!-- end of the table -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &new).unwrap();
    }
    assert!(new == fs::read_to_string(&path).unwrap(), "docs/trust-a-gradient.md is out of date; UPDATE_DOCS=1 writes its table anew");
}
