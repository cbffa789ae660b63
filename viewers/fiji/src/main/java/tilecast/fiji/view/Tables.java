// SPDX-License-Identifier: MIT
// Tables: those that are streamed become windows, those that ImageJ shows become data.

package tilecast.fiji.view;

import ij.measure.ResultsTable;
import java.awt.GraphicsEnvironment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

final class Tables {
  private final Map<String, ResultsTable> tables = new LinkedHashMap<>();

  static final class Item {
    final String title;
    final ResultsTable table;

    private Item(String title, ResultsTable table) {
      this.title = title;
      this.table = table;
    }
  }

  /** Reads {@code tilecast.table}; on any thread. */
  static Item parse(Fields item) {
    Fields table = item.object("tilecast").object("table");
    List<String> columns = table.strings("columns");
    ResultsTable result = new ResultsTable();
    result.setPrecision(4);
    int y = 0;
    for (Object value : table.list("rows")) {
      if (!(value instanceof List) || ((List<?>) value).size() != columns.size())
        throw new WireException("table.rows[" + y + "]: expected " + columns.size() + " values");
      result.incrementCounter();
      for (int x = 0; x < columns.size(); x++) {
        Object cell = ((List<?>) value).get(x);
        if (cell instanceof Number) result.setValue(columns.get(x), y, ((Number) cell).doubleValue());
        else if (cell == null) result.setValue(columns.get(x), y, Double.NaN);
        else result.setValue(columns.get(x), y, String.valueOf(cell));
      }
      y++;
    }
    return new Item(table.string("title", "Table"), result);
  }

  void show(Item item) {
    tables.put(item.title, item.table);
    if (!GraphicsEnvironment.isHeadless()) item.table.show(item.title);
  }

  void clear() {
    for (String title : tables.keySet()) {
      java.awt.Window window = ij.WindowManager.getWindow(title);
      if (window instanceof ij.text.TextWindow) ((ij.text.TextWindow) window).close();
    }
    tables.clear();
  }

  /** Of that title, or ImageJ's own "Results". */
  Map<String, Object> read(String title) {
    ResultsTable table = title == null || title.equals("Results") ? ResultsTable.getResultsTable() : ResultsTable.getResultsTable(title);
    if (table == null) table = tables.get(title);
    if (table == null) throw new WireException("results_table: there is no table \"" + title + "\"");
    List<String> columns = new ArrayList<>(Arrays.asList(table.getHeadings()));
    List<Object> rows = new ArrayList<>();
    for (int y = 0; y < table.size(); y++) {
      List<Object> row = new ArrayList<>();
      for (String column : columns) row.add(cell(table, column, y));
      rows.add(row);
    }
    return Fields.map("title", title == null ? "Results" : title, "columns", columns, "rows", rows);
  }

  private static Object cell(ResultsTable table, String column, int y) {
    if (column.equals("Label")) return table.getLabel(y);
    double number = table.getValue(column, y);
    if (!Double.isNaN(number)) return number;
    String text = table.getStringValue(column, y);
    return text == null || text.isEmpty() || text.equals("NaN") ? null : text;
  }
}
