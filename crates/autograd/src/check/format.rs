//! Reports as text, Markdown, JSON and CSV.

use std::fmt::{self, Write};

use super::{
    report::{Input, Origins, Outcome, Report},
    verdict::{Element, Verdict},
};

/// So many elements of an input that were not confirmed are written out.
const SHOWN: usize = 5;

/// The counts of all verdicts but the first, as in `, 2 wrong, 1 inconclusive`.
fn counts(input: &Input) -> String {
    let mut words: Vec<(usize, &str, usize)> = Vec::new();
    for element in input.checked().filter(|e| e.verdict != Verdict::Ok) {
        let (rank, word) = (element.verdict.rank(), element.verdict.word());
        match words.iter_mut().find(|(r, _, _)| *r == rank) {
            Some((_, _, n)) => *n += 1,
            None => words.push((rank, word, 1)),
        }
    }
    words.sort_unstable();
    words.iter().fold(String::new(), |text, (_, word, n)| text + &format!(", {n} {word}"))
}

/// How many elements were looked at, as `"6 elements"` or `"16 of 1000000 elements"`.
fn coverage(input: &Input) -> String {
    let (ok, checked, all) = (input.count(|v| v == Verdict::Ok), input.checked().count(), input.shape().len());
    if checked == all { format!("{ok} of {all} elements ok") } else { format!("{ok} of {checked} elements ok, of {all} in all") }
}

/// The report in a word.
fn verdict(report: &Report) -> &'static str {
    let of_derivatives = |input: &Input| input.count(Verdict::is_fault) > 0 || input.directions().iter().any(|d| d.verdict.is_fault());
    match () {
        () if report.passed() => "agree",
        () if report.inputs().iter().any(of_derivatives) => "DO NOT agree",
        () if report.faults() > 0 => "are not at odds, but something else is WRONG",
        () => "are not at odds, but NOT ALL is decided",
    }
}

/// The largest deviation, of those elements that have a finite difference.
fn deviation(input: &Input) -> String {
    match input.deviation() {
        d if d.is_finite() => format!("at most {d:.1e}"),
        _ => "unknown where there is no finite difference".to_owned(),
    }
}

fn noticed(input: &Input) -> String {
    match input.noticed() {
        n if n.is_finite() && input.checked().next().is_some() | !input.directions().is_empty() => {
            format!("an error above {n:.1e} in one element would have been noticed")
        }
        _ if input.checked().count() == input.shape().len() => "an error in what is not decided would not have been noticed".to_owned(),
        _ => "elements that were not looked at may be wrong".to_owned(),
    }
}

fn evidence(input: &Input, e: &Element, Origins { first, second, .. }: Origins) -> String {
    let mut text = format!("{:?}: {}", input.position(e.index), e.verdict);
    let _ = write!(text, "; {first} {:.9e}", e.autodiff);
    if e.difference.is_finite() {
        let _ = write!(text, ", {second} {:.9e} ± {:.1e} (z = {:.1e}, relative {:.1e}", e.difference, e.error, e.z(), e.relative());
        if e.step.is_finite() {
            let _ = write!(text, ", step {:.1e}", e.step);
        }
        text.push(')');
    }
    if e.scatter > 0.0 {
        let _ = write!(text, ", autodiff itself ± {:.1e}", e.scatter);
    }
    if let Some(kink) = e.kink {
        let _ = write!(text, "; {kink}");
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.origins.both, verdict(self))?;
        for input in self.inputs() {
            write!(f, "\n  {} {}: {}{}", input.name(), input.shape(), coverage(input), counts(input))?;
            let largest = input.largest();
            if !input.shape().is_empty() {
                write!(f, "; deviation {}, relative to the largest element {largest:.1e}; {}", deviation(input), noticed(input))?;
            }
            let skipped = input.count(|v| v == Verdict::Skipped);
            if skipped > 0 {
                write!(f, "; {skipped} skipped, the budget was spent")?;
            }
            let worst = input.worst();
            for element in worst.iter().take(SHOWN) {
                write!(f, "\n    {}", evidence(input, element, self.origins))?;
            }
            if worst.len() > SHOWN {
                write!(f, "\n    and {} more", worst.len() - SHOWN)?;
            }
            let on_kinks = input.checked().filter(|e| matches!(e.verdict, Verdict::SubgradientOk { .. }));
            for element in on_kinks.take(2) {
                write!(f, "\n    {}", evidence(input, element, self.origins))?;
            }
            for d in input.directions() {
                write!(f, "\n    along {} random signs: {}; autodiff {:.9e}, ", d.moved, d.verdict, d.autodiff)?;
                write!(f, "finite difference {:.9e} ± {:.1e}", d.difference, d.error)?;
            }
        }
        for finding in self.findings() {
            write!(f, "\n  {} {}: {}", finding.outcome.mark(), finding.what, finding.detail)?;
        }
        for sentence in self.diagnosis() {
            write!(f, "\n  diagnosis: {sentence}")?;
        }
        let ratio = self.inputs().iter().map(Input::norm_ratio).fold(0.0, f64::max);
        let relative = self.inputs().iter().flat_map(Input::checked).map(Element::relative).fold(0.0, f64::max);
        write!(f, "\n  ‖a − n‖/(‖a‖ + ‖n‖) at most {ratio:.1e}, relative error of an element at most {relative:.1e}")?;
        let cost = self.cost();
        write!(f, "\n  {} evaluations in {:.3} s, seed {}", cost.evaluations, cost.seconds, self.seed)
    }
}

/// A number in JSON, which has no NaN and no infinity.
fn number(v: f64) -> String {
    if v.is_finite() { format!("{v:e}") } else { format!("\"{v}\"") }
}

/// A text in JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

fn element(e: &Element) -> String {
    let sides = match e.verdict {
        Verdict::SubgradientOk { left, right } => format!(",\"left\":{},\"right\":{}", number(left), number(right)),
        Verdict::Inconclusive { why } => format!(",\"why\":{}", quoted(why)),
        _ => String::new(),
    };
    let kink = e.kink.map(|kink| format!(",\"kink\":{}", quoted(&kink.to_string()))).unwrap_or_default();
    format!(
        "{{\"index\":{},\"verdict\":{},\"autodiff\":{},\"difference\":{},\"error\":{},\"scatter\":{},\"step\":{},\"evaluations\":{}{sides}{kink}}}",
        e.index,
        quoted(e.verdict.word()),
        number(e.autodiff),
        number(e.difference),
        number(e.error),
        number(e.scatter),
        number(e.step),
        e.evaluations
    )
}

impl Report {
    /// A table with a row for each input, and the elements that were not confirmed below.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::from("| input | shape | checked | ok | not ok | deviation | worst | autodiff | finite difference | ± |\n");
        out += "|---|---|---:|---:|---:|---:|---|---:|---:|---:|\n";
        for input in self.inputs() {
            let (checked, ok) = (input.checked().count(), input.count(Verdict::is_ok));
            let name = input.name().replace('|', "\\|");
            let worst = input.worst();
            let worst = worst.first().copied().or_else(|| input.checked().max_by(|a, b| a.deviation().total_cmp(&b.deviation())));
            let row = worst.map_or_else(
                || "| | | | |".to_owned(),
                |e| format!("| {:?} | {:.6e} | {:.6e} | {:.1e} |", input.position(e.index), e.autodiff, e.difference, e.error),
            );
            let shape = input.shape();
            let _ = writeln!(out, "| {name} | {shape} | {checked} | {ok} | {} | {:.1e} {row}", checked - ok, input.deviation());
        }
        for finding in self.findings() {
            let _ = write!(out, "\n- {}: {}, {}", finding.what, finding.outcome.mark().trim(), finding.detail);
        }
        for sentence in self.diagnosis() {
            let _ = write!(out, "\n- {sentence}");
        }
        out
    }

    /// Everything, as one JSON object. Numbers that are not finite are texts: `"NaN"`, `"inf"`.
    ///
    /// ```
    /// use autograd::{check, tensor};
    /// let report = check::gradients(|[x]| x.square().sum(), [&tensor![1.0]])?;
    /// assert!(report.to_json().starts_with("{\"passed\":true,\"inputs\":[{\"name\":\"input 0\",\"shape\":[1],"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let inputs = self.inputs().iter().map(|input| {
            let directions = input.directions().iter().map(|d| {
                let numbers = [d.autodiff, d.difference, d.error, d.noticed].map(number);
                let [autodiff, difference, error, noticed] = numbers;
                let (moved, verdict) = (d.moved, quoted(d.verdict.word()));
                format!(
                    "{{\"moved\":{moved},\"verdict\":{verdict},\"autodiff\":{autodiff},\"difference\":{difference},\"error\":{error},\"noticed\":{noticed}}}"
                )
            });
            format!(
                "{{\"name\":{},\"shape\":{},\"noticed\":{},\"elements\":{},\"directions\":{}}}",
                quoted(input.name()),
                list(input.shape().iter().map(ToString::to_string)),
                number(input.noticed()),
                list(input.elements().iter().map(element)),
                list(directions)
            )
        });
        let finding = |f: &super::Finding| {
            let outcome = match f.outcome {
                Outcome::Ok => "ok",
                Outcome::Wrong => "wrong",
                Outcome::Inconclusive => "inconclusive",
                Outcome::NotApplicable => "not applicable",
            };
            format!("{{\"what\":{},\"outcome\":{},\"detail\":{}}}", quoted(f.what), quoted(outcome), quoted(&f.detail))
        };
        format!(
            "{{\"passed\":{},\"inputs\":{},\"findings\":{},\"diagnosis\":{},\"evaluations\":{},\"seconds\":{},\"seed\":{}}}",
            self.passed(),
            list(inputs),
            list(self.findings().iter().map(finding)),
            list(self.diagnosis().iter().map(|s| quoted(s))),
            self.cost().evaluations,
            number(self.cost().seconds),
            self.seed
        )
    }

    /// A line for each element, with a header.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = String::from("input,index,verdict,autodiff,difference,error,z,relative,step,evaluations\n");
        for input in self.inputs() {
            let name = format!("\"{}\"", input.name().replace('"', "\"\""));
            for e in input.elements() {
                let Element { index, autodiff, difference, error, step, evaluations, .. } = e;
                let (word, z, relative) = (e.verdict.word(), e.z(), e.relative());
                let _ =
                    writeln!(out, "{name},{index},{word},{autodiff:e},{difference:e},{error:e},{z:e},{relative:e},{step:e},{evaluations}");
            }
        }
        out
    }
}
