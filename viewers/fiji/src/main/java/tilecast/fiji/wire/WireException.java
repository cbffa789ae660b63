// SPDX-License-Identifier: MIT
// What is wrong with a message: said to whoever sent it.

package tilecast.fiji.wire;

public class WireException extends RuntimeException {
  public WireException(String message) {
    super(message);
  }

  public WireException(String message, Throwable cause) {
    super(message, cause);
  }
}
