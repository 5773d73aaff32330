//! Lessons about backpropagation, on small networks with numbers that can be looked up.
//!
//! `cargo run --release --example lessons` gives all of them, `cargo run --release --example lessons -- order` one;
//! `-- --markdown order` gives it as Markdown.

use autograd::{Graph, Var, lesson};

fn show(lesson: &impl std::fmt::Display) {
    println!("{lesson}");
}

/// n diamonds, one after the other: each value is used twice, and the two uses come together again.
fn diamonds(g: &Graph<f64>, n: usize) -> Var<'_, f64> {
    (1..=n).fold(g.variable(0.5).named("x"), |x, k| {
        let (s, c) = (x.sin().named(&format!("s{k}")), x.cos().named(&format!("c{k}")));
        (s + c).named(&format!("y{k}"))
    })
}

fn main() -> Result<(), nn::Error> {
    let g = Graph::<f64>::new();
    let t = diamonds(&g, 3).trace()?;
    show(&lesson::order(&t));
    show(&lesson::fan_out(&t));
    show(&lesson::paths(&t)?);
    show(&lesson::paths(&diamonds(&g, 20).trace()?)?);
    show(&lesson::forward_mode(&t, "x", 0)?);
    Ok(())
}
