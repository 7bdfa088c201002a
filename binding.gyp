# For people who build with node-gyp: delegates to CMakeLists.txt, the one description of the native build, and gives
# the same addon (build/Release/lsp.node). The inputs only tell make when to ask CMake again.
{
  "targets": [
    {
      "target_name": "lsp_by_cmake",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake_build",
          "inputs": ["<!@(find CMakeLists.txt native -type f)"],
          "outputs": ["<(PRODUCT_DIR)/lsp.node"],
          "action": ["node", "scripts/build-native.js"]
        }
      ]
    }
  ]
}
