# For `node-gyp rebuild` in a clone: runs the project's CMake build, which stays the only description of it.
# Not among the package's "files", because npm would then run node-gyp at install (see CONTRIBUTING.md, "Packaging").
{
  "targets": [
    {
      "target_name": "tilecast",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "message": "building with cmake-js",
          "inputs": [
            "native/CMakeLists.txt",
            "<!@(node -p \"require('fs').readdirSync('native/src', { recursive: true }).filter((f) => /[.](cc|h|inc)$/.test(f)).map((f) => 'native/src/' + f).join(' ')\")"
          ],
          "outputs": ["<(PRODUCT_DIR)/tilecast.node"],
          "action": ["node", "node_modules/cmake-js/bin/cmake-js", "build", "-d", "native", "-O", "build"]
        }
      ]
    }
  ]
}
