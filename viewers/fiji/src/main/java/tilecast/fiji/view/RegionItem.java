// SPDX-License-Identifier: MIT
// One message's regions, points or tracks as ImageJ's ROIs.

package tilecast.fiji.view;

import ij.gui.OvalRoi;
import ij.gui.PointRoi;
import ij.gui.PolygonRoi;
import ij.gui.Roi;
import ij.io.RoiDecoder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tilecast.fiji.model.Route;
import tilecast.fiji.wire.Fields;
import tilecast.fiji.wire.WireException;

final class RegionItem {
  /** ImageJ's coordinates are of pixels' corners, those of the wire of their centres. */
  private static final double CENTRE = 0.5;

  final Route route;
  final List<Roi> rois;
  /** Regions with the same key replace each other. */
  final String key;

  private RegionItem(Route route, List<Roi> rois) {
    this.route = route;
    this.rois = rois;
    key = route.key + " " + new java.util.TreeMap<>(route.coordinates);
  }

  static RegionItem of(Fields item, Route route, String type) {
    List<Roi> rois = new ArrayList<>();
    switch (type) {
      case "rois":
        for (String roi : item.strings("rois")) rois.add(decode(roi));
        break;
      case "tracks":
        tracks(item.object("tilecast").list("tracks"), rois);
        break;
      case "points":
        points(item.list("shapes"), rois);
        break;
      default:
        for (Object shape : item.list("shapes")) rois.add(shape(Fields.of(shape, "shapes")));
    }
    name(rois, item.string("path", type));
    return new RegionItem(route, rois);
  }

  private static Roi decode(String base64) {
    Roi roi;
    try {
      roi = RoiDecoder.openFromByteArray(Base64.getDecoder().decode(base64));
    } catch (IllegalArgumentException e) {
      throw new WireException("rois: not base64", e);
    }
    if (roi == null) throw new WireException("rois: not an ImageJ .roi file");
    return roi;
  }

  private static Roi shape(Fields shape) {
    String type = shape.string("type");
    Fields metadata = shape.optionalObject("metadata");
    double[][] vertices = vertices(shape.list("coordinates"));
    Roi roi;
    switch (type) {
      case "polygon":
      case "rectangle":
        roi = polygon(vertices, Roi.POLYGON);
        break;
      case "path":
      case "line":
        roi = polygon(vertices, Roi.POLYLINE);
        break;
      case "ellipse":
        roi = ellipse(vertices);
        break;
      default:
        throw new WireException("shapes.type: expected polygon, path or ellipse, and got \"" + type + "\"");
    }
    if (metadata.get("label") instanceof Number) roi.setProperty("label", String.valueOf(((Number) metadata.get("label")).longValue()));
    return roi;
  }

  private static double[][] vertices(List<?> list) {
    double[][] vertices = new double[list.size()][];
    for (int i = 0; i < vertices.length; i++) {
      vertices[i] = Fields.numbers(list.get(i), "shapes.coordinates");
      if (vertices[i].length < 2) throw new WireException("shapes.coordinates: expected [y, x] pairs");
    }
    if (vertices.length == 0) throw new WireException("shapes.coordinates: a shape without vertices");
    return vertices;
  }

  private static Roi polygon(double[][] vertices, int type) {
    float[] x = new float[vertices.length];
    float[] y = new float[vertices.length];
    for (int i = 0; i < x.length; i++) {
      double[] vertex = vertices[i];
      x[i] = (float) (vertex[vertex.length - 1] + CENTRE);
      y[i] = (float) (vertex[vertex.length - 2] + CENTRE);
    }
    return new PolygonRoi(x, y, type);
  }

  /** Of the corners of its box. */
  private static Roi ellipse(double[][] corners) {
    double top = Double.POSITIVE_INFINITY;
    double left = Double.POSITIVE_INFINITY;
    double bottom = Double.NEGATIVE_INFINITY;
    double right = Double.NEGATIVE_INFINITY;
    for (double[] corner : corners) {
      top = Math.min(top, corner[corner.length - 2]);
      bottom = Math.max(bottom, corner[corner.length - 2]);
      left = Math.min(left, corner[corner.length - 1]);
      right = Math.max(right, corner[corner.length - 1]);
    }
    return new OvalRoi(left + CENTRE, top + CENTRE, right - left, bottom - top);
  }

  private static void points(List<?> shapes, List<Roi> rois) {
    PointRoi points = new PointRoi();
    for (Object value : shapes) {
      Fields shape = Fields.of(value, "shapes");
      List<?> coordinates = shape.list("coordinates");
      boolean isOne = !coordinates.isEmpty() && coordinates.get(0) instanceof Number;
      for (Object point : isOne ? java.util.Collections.singletonList(coordinates) : coordinates) {
        double[] yx = Fields.numbers(point, "shapes.coordinates");
        if (yx.length < 2) throw new WireException("shapes.coordinates: expected [y, x]");
        points.addPoint(yx[yx.length - 1] + CENTRE, yx[yx.length - 2] + CENTRE);
      }
    }
    if (points.size() > 0) rois.add(points);
  }

  /** Rows [track, timepoint, y, x]: a line a track. */
  private static void tracks(List<?> rows, List<Roi> rois) {
    Map<Double, List<double[]>> tracks = new LinkedHashMap<>();
    for (Object value : rows) {
      double[] row = Fields.numbers(value, "tilecast.tracks");
      if (row.length != 4) throw new WireException("tilecast.tracks: expected rows [track, timepoint, y, x]");
      tracks.computeIfAbsent(row[0], k -> new ArrayList<>()).add(row);
    }
    for (Map.Entry<Double, List<double[]>> track : tracks.entrySet()) {
      track.getValue().sort((a, b) -> Double.compare(a[1], b[1]));
      Roi roi = polygon(track.getValue().toArray(new double[0][]), Roi.POLYLINE);
      roi.setProperty("label", String.valueOf(track.getKey().longValue()));
      rois.add(roi);
    }
  }

  /** As OpenHCS's viewer names them: the file's stem and a number, here the label where there is one. */
  private static void name(List<Roi> rois, String path) {
    String stem = path.substring(path.lastIndexOf('/') + 1).replaceFirst("(\\.roi\\.zip|\\.[A-Za-z0-9]{1,8})$", "");
    for (int i = 0; i < rois.size(); i++) {
      String label = rois.get(i).getProperty("label");
      int number = label != null && label.matches("[0-9]{1,9}") ? Integer.parseInt(label) : i + 1;
      rois.get(i).setName(String.format(Locale.ROOT, "%s_%04d", stem, number));
    }
  }
}
