//! A report as one page that needs nothing else: words, the picture, tables.

use super::picture::svg;
use super::report::Report;
use crate::chart::escape;
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}\
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #8884}\
th:first-child,td:first-child{text-align:left}code{font-size:.9em}svg{width:100%;height:auto}";

/// The page.
pub(super) fn html(report: &Report) -> String {
    let title = escape(&report.scenario);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Althing lab: {title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n<p>{}</p>\n<p>{}</p>\n{}",
        escape(&report.about),
        escape(&report.headline()),
        svg(report)
    );
    for table in report.tables() {
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<h2>{}</h2>\n<table><tr>", escape(table.title));
        for column in &table.columns {
            let _ = write!(html, "<th>{}</th>", escape(column));
        }
        html.push_str("</tr>\n");
        for row in &table.rows {
            html.push_str("<tr>");
            for cell in row {
                let _ = write!(html, "<td>{}</td>", escape(cell));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</table>\n");
    }
    html.push_str("</body></html>\n");
    html
}
