//! Traces as the results of cells of a Jupyter notebook, by the protocol of the kernel evcxr.

use super::Trace;

/// A text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Trace {
    /// What a notebook shows for the trace: HTML.
    fn notebook_html(&self) -> String {
        format!("<pre>{}</pre>", escaped(&self.to_string()))
    }

    /// Shows the trace as the result of a cell of a Jupyter notebook with the kernel [evcxr](https://github.com/evcxr/evcxr), which calls this
    /// for the last expression of a cell: it prints HTML between the two lines that the kernel looks for.
    pub fn evcxr_display(&self) {
        println!("EVCXR_BEGIN_CONTENT text/html\n{}\nEVCXR_END_CONTENT", self.notebook_html());
    }
}

#[cfg(test)]
mod tests {
    use crate::Graph;

    #[test]
    fn names_are_no_tags() {
        let g = Graph::<f64>::new();
        let trace = g.variable(2.0).named("<b>&").square().trace().unwrap();
        let html = trace.notebook_html();
        assert!(html.starts_with("<pre>L = 4: 2 values") && html.ends_with("</pre>") && html.contains("&lt;b&gt;&amp; = 2"), "{html}");
        assert!(!html.contains("<b>"));
    }
}
