//! Traces as the results of cells of a Jupyter notebook, by the protocol of the kernel evcxr.

use super::Trace;

impl Trace {
    /// What a notebook shows for the trace: the [page](Trace::to_html) in a frame, where its styles and those of the notebook do not meet.
    fn notebook_html(&self) -> String {
        let name = self.nodes.last().map_or("", |root| root.name.as_str());
        // In an attribute, these two characters alone mean something.
        let page = self.to_html(&format!("How {name} is computed")).replace('&', "&amp;").replace('"', "&quot;");
        format!("<iframe srcdoc=\"{page}\" title=\"The steps of a run\" style=\"width:100%;height:820px;border:0\"></iframe>")
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
    fn the_page_stands_whole_in_an_attribute() {
        let g = Graph::<f64>::new();
        let trace = g.variable(2.0).named("\"></iframe><b>&amp;").square().trace().unwrap();
        let html = trace.notebook_html();
        let inside = html.strip_prefix("<iframe srcdoc=\"").unwrap();
        let (page, rest) = inside.split_once('"').unwrap();
        assert!(rest.starts_with(" title=") && rest.ends_with("></iframe>"));
        assert_eq!(page.replace("&quot;", "\"").replace("&amp;", "&"), trace.to_html("How L is computed"));
    }
}
