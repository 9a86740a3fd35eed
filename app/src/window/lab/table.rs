//! The summary of a run: one row a figure, one column a policy, what differs in strong letters.

use crate::window::grid::metric::grouped;
use crate::window::theme::{font, size};
use egui::{Align, Layout, RichText, ScrollArea, Ui};
use egui_extras::{Column, TableBuilder};
use lab::run::RunResult;
use lab::run::figures::{Unit, figures, hash_word, refusals};

/// One row.
struct Row {
    words: String,
    cells: Vec<String>,
    differs: bool,
}

/// Draws the table.
pub fn summary(ui: &mut Ui, results: &[RunResult], only_differences: bool) {
    let rows: Vec<Row> = rows(results)
        .into_iter()
        .filter(|row| row.differs || !only_differences)
        .collect();
    ScrollArea::horizontal()
        .id_salt("lab summary")
        .show(ui, |ui| table_ui(ui, results, &rows));
}

fn table_ui(ui: &mut Ui, results: &[RunResult], rows: &[Row]) {
    let mut table = TableBuilder::new(ui)
        .id_salt("lab summary")
        .striped(true)
        .cell_layout(Layout::left_to_right(Align::Center))
        .auto_shrink([false, false])
        // A low panel shows few rows instead of taking the room of what stands above it.
        .min_scrolled_height(3.0 * size::TABLE_ROW)
        .column(
            Column::initial(230.0)
                .at_least(140.0)
                .clip(true)
                .resizable(true),
        );
    for _ in results {
        table = table.column(
            Column::initial(130.0)
                .at_least(80.0)
                .clip(true)
                .resizable(true),
        );
    }
    let right = Layout::right_to_left(Align::Center);
    table
        .column(Column::remainder())
        .header(size::TABLE_ROW, |mut header| {
            header.col(|_| {});
            for result in results {
                header.col(|ui| {
                    ui.with_layout(right, |ui| {
                        ui.label(RichText::new(&result.policy.name).size(font::BODY).strong());
                    });
                });
            }
        })
        .body(|body| {
            body.rows(size::TABLE_ROW, rows.len(), |mut table_row| {
                let row = &rows[table_row.index()];
                table_row.col(|ui| {
                    ui.add(egui::Label::new(&row.words).truncate());
                });
                for cell in &row.cells {
                    table_row.col(|ui| {
                        ui.with_layout(right, |ui| {
                            let text = RichText::new(cell);
                            ui.label(if row.differs {
                                text.strong()
                            } else {
                                text.weak()
                            });
                        });
                    });
                }
            });
        });
}

fn rows(results: &[RunResult]) -> Vec<Row> {
    let columns: Vec<_> = results
        .iter()
        .map(|result| figures(&result.outcome.summary))
        .collect();
    let Some(first) = columns.first() else {
        return Vec::new();
    };
    let mut rows = Vec::with_capacity(first.len() + 4);
    for (place, figure) in first.iter().enumerate() {
        let values = columns.iter().map(|column| column[place].value);
        let dull = figure.unit != Unit::Count && values.clone().all(|value| value == 0.0);
        if !dull {
            let words = sentence(&figure.words);
            rows.push(row(
                words,
                values.map(|value| shown(figure.unit, value)).collect(),
            ));
        }
    }
    for (filter, counts) in refusals(results) {
        let cells = counts.into_iter().map(grouped).collect();
        rows.push(row(format!("Rejected by {filter}"), cells));
    }
    let hashes = results
        .iter()
        .map(|result| hash_word(result.outcome.summary.decision_hash));
    rows.push(row("Decision hash".to_owned(), hashes.collect()));
    let seconds = results
        .iter()
        .map(|result| format!("{:.3} s", result.sim_seconds));
    rows.push(row("Simulating took".to_owned(), seconds.collect()));
    rows
}

fn row(words: String, cells: Vec<String>) -> Row {
    let differs = cells.windows(2).any(|pair| pair[0] != pair[1]);
    Row {
        words,
        cells,
        differs,
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        _ if value.is_infinite() => "never".to_owned(),
        Unit::Count => grouped(value as u64),
        Unit::Mean => format!("{value:.1}"),
        Unit::Share => format!("{:.2} %", value * 100.0),
        Unit::Seconds => format!("{value:.1} s"),
    }
}
