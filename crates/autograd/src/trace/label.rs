//! What nodes are called in formulas, and which layer they belong to.

use std::collections::HashSet;

/// The names of the nodes of a trace: those that were given, and new ones for the others. No two are the same.
pub(super) struct Labels {
    used: HashSet<String>,
    /// How many names have been made up with each letter.
    counts: [usize; 4],
}

/// For what a name is made up.
#[derive(Clone, Copy)]
pub(super) enum Unnamed {
    Variable,
    Constant,
    Result,
    Root,
}

impl Labels {
    /// Names that were given come first, so that no other node takes one.
    pub(super) fn new<'a>(given: impl Iterator<Item = &'a str>) -> Labels {
        Labels { used: given.map(str::to_owned).collect(), counts: [0; 4] }
    }

    /// A name for a node that has none: x1, x2, … for variables, c1, … for constants, v1, … for results, and L for the root.
    pub(super) fn make(&mut self, what: Unnamed) -> String {
        if matches!(what, Unnamed::Root) && self.used.insert("L".to_owned()) {
            return "L".to_owned();
        }
        let letter = ["x", "c", "v", "L"][what as usize];
        loop {
            self.counts[what as usize] += 1;
            let name = format!("{letter}{}", self.counts[what as usize]);
            if self.used.insert(name.clone()) {
                return name;
            }
        }
    }

    /// A name that was given to several nodes, told apart by a number: `w`, `w_2`, `w_3`, …
    pub(super) fn again(&mut self, name: &str) -> String {
        let mut k = 2;
        loop {
            let name = format!("{name}_{k}");
            if self.used.insert(name.clone()) {
                return name;
            }
            k += 1;
        }
    }
}

/// Names that are not among those of the nodes: `dx` for the gradient by `x`, or `d(x)` if a node is called so already.
pub(super) fn gradient_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let short = format!("d{name}");
    if name.chars().count() <= 4 && !is_taken(&short) {
        return short;
    }
    let mut long = format!("d({name})");
    while is_taken(&long) {
        long = format!("d({long})");
    }
    long
}

/// The layer that a name such as `layers.0.weight` belongs to: all but its last part.
pub(super) fn group(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(layer, _)| layer).filter(|layer| !layer.is_empty())
}
