use autograd::{Graph, fused, tensor};
fn main() -> Result<(), autograd::Error> {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0), g.variable(5.0), g.variable(-4.0));
    let f = (x + y) * z;
    let grads = f.backward()?;
    println!("{} {:?} {:?} {:?}", f.item()?, grads.get(x), grads.get(y), grads.get(z));
    let w = g.variable(tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let v = g.variable(tensor![0.1, 0.2, 0.3]);
    let l = (w.matmul(v) * 2.0).tanh().sum();
    let d = l.backward()?;
    println!("{} {}", d.wrt(w)?, d.wrt(v)?);
    let [dw] = g.grad(l, [w]);
    println!("{}", dw.value()?);
    let [ddw] = g.grad(dw.sum(), [v]);
    println!("{:?}", ddw);
    let q = 3.0;
    let e = fused!(|a, b; q| (a * b + 1.0).sigmoid() * a.tanh() * q + 2.0 * a.ln())(v, w);
    println!("{} {}", e.value()?, e.op().unwrap().derivation().unwrap().slopes[0]);
    let gr = e.sum().backward()?;
    println!("{} {}", gr.wrt(v)?, gr.wrt(w)?);
    let bad = (w.matmul(w) + 1.0).tanh().exp().sum() * 2.0;
    println!("{}", bad.backward().unwrap_err());
    for entry in autograd::op::catalogue() {
        if let Some(h) = entry.handle {
            let d = h().derivation().unwrap();
            println!("{:12} y = {:30} {}", entry.name, d.value, d.slopes.join("   "));
        }
    }
    for _ in 0..3 {
        let clock = std::time::Instant::now();
        let g = Graph::<f64>::new();
        let (mut a, mut b) = (g.variable(0.3), g.variable(0.7));
        for i in 0..25_000 {
            let c = a * b;
            let d = if i % 4 == 0 { (c + a).tanh() } else { (c + a) * b };
            (a, b) = (b, if i % 2 == 0 { (d + c).tanh() } else { (d + c) * a });
        }
        let built = clock.elapsed();
        let grads = b.backward()?;
        let done = clock.elapsed();
        drop((grads, g));
        let n = 125_000.0;
        println!(
            "scalar graph: {:.0} ns/node forward, {:.0} backward, {:.0} drop",
            built.as_nanos() as f64 / n,
            (done - built).as_nanos() as f64 / n,
            (clock.elapsed() - done).as_nanos() as f64 / n
        );
    }
    Ok(())
}
