//! Numbers that are printed in textbooks and courses.

use autograd::{Graph, tensor};

#[test]
fn sum_times_a_number() {
    // CS231n, notes on backpropagation.
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0), g.variable(5.0), g.variable(-4.0));
    let f = (x + y) * z;
    let grads = f.backward().unwrap();
    assert_eq!(f.item().unwrap(), -12.0);
    assert_eq!([x, y, z].map(|v| grads.wrt(v).unwrap().item().unwrap()), [-4.0, -4.0, 3.0]);
}

#[test]
fn a_sigmoid_neuron() {
    // CS231n: w = (2, −3, −3), x = (−1, −2). The course prints 0.73 and the gradients −0.20, −0.39, 0.20 by w and 0.39, −0.59 by x, rounded.
    let g = Graph::<f64>::new();
    let [w0, w1, w2] = [2.0, -3.0, -3.0].map(|w| g.variable(w));
    let [x0, x1] = [-1.0, -2.0].map(|x| g.variable(x));
    let f = 1.0 / (1.0 + (-(w0 * x0 + w1 * x1 + w2)).exp());
    let grads = f.backward().unwrap();
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 5e-3, "{value} is not {expected}");
    near(f.item().unwrap(), 0.73);
    for (v, expected) in [(w0, -0.20), (w1, -0.39), (w2, 0.20), (x0, 0.39), (x1, -0.59)] {
        near(grads.wrt(v).unwrap().item().unwrap(), expected);
    }
    // The same neuron in one operation.
    let y = (w0 * x0 + w1 * x1 + w2).sigmoid();
    assert!((y.backward().unwrap().wrt(w0).unwrap().item().unwrap() - grads.wrt(w0).unwrap().item().unwrap()).abs() < 1e-15);
}

#[test]
fn a_two_layer_network_after_one_step() {
    // Matt Mazur, "A Step by Step Backpropagation Example" (2015): 2-2-2 sigmoid network, squared error, learning rate 0.5.
    let g = Graph::<f64>::new();
    let x = g.constant(tensor![0.05, 0.10]);
    let target = g.constant(tensor![0.01, 0.99]);
    let w1 = g.variable(tensor![[0.15, 0.20], [0.25, 0.30]]);
    let w2 = g.variable(tensor![[0.40, 0.45], [0.50, 0.55]]);
    let hidden = (w1.matmul(x) + 0.35).sigmoid();
    let output = (w2.matmul(hidden) + 0.60).sigmoid();
    let loss = (0.5 * (target - output).square()).sum();
    let grads = loss.backward().unwrap();
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    near(loss.item().unwrap(), 0.298_371_109);
    let step = |w: autograd::Var<'_, f64>| (&w.value().unwrap() - &(grads.wrt(w).unwrap() * 0.5)).to_vec();
    let expected = [0.149_780_716, 0.199_561_43, 0.249_751_14, 0.299_502_29];
    step(w1).into_iter().zip(expected).for_each(|(w, e)| assert!((w - e).abs() < 5e-9));
    let expected = [0.358_916_48, 0.408_666_186, 0.511_301_270, 0.561_370_121];
    step(w2).into_iter().zip(expected).for_each(|(w, e)| assert!((w - e).abs() < 5e-9));
}

#[test]
fn a_variable_used_twice() {
    let g = Graph::<f64>::new();
    let b = g.variable(3.0);
    let a = b + b;
    assert_eq!(a.backward().unwrap().wrt(b).unwrap().item().unwrap(), 2.0);
}

#[test]
fn backward_may_be_called_again() {
    let g = Graph::<f64>::new();
    let x = g.variable(2.0);
    let y = x.square().square();
    for _ in 0..2 {
        assert_eq!(y.backward().unwrap().wrt(x).unwrap().item().unwrap(), 32.0);
    }
}

#[test]
fn micrograd_expression() {
    // The second test of micrograd's test_engine.py, with the values that PyTorch gives.
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(-4.0), g.variable(2.0));
    let mut c = a + b;
    let mut d = a * b + b.powi(3);
    c = c + c + 1.0;
    c = c + 1.0 + c + (-a);
    d = d + d * 2.0 + (b + a).relu();
    d = d + 3.0 * d + (b - a).relu();
    let e = c - d;
    let f = e.square();
    let result = f / 2.0 + 10.0 / f;
    let grads = result.backward().unwrap();
    assert!((result.item().unwrap() - 24.704_081_632_653_06).abs() < 1e-12);
    assert!((grads.wrt(a).unwrap().item().unwrap() - 138.833_819_241_982_5).abs() < 1e-10);
    assert!((grads.wrt(b).unwrap().item().unwrap() - 645.577_259_475_218_6).abs() < 1e-10);
}
