# Types that refuse nonsense where it is written, not where it would hurt.
{ lib }:
let
  inherit (lib) types;
  units = {
    K = 1000;
    M = 1000 * 1000;
    G = 1000 * 1000 * 1000;
    T = 1000 * 1000 * 1000 * 1000;
  };
  named = description: type: type // { inherit description; };
in
rec {
  # An option that may be left open.
  nullOption =
    type: more:
    lib.mkOption (
      {
        type = types.nullOr type;
        default = null;
      }
      // more
    );

  modelId = named "id of a model (lower-case letters, digits and hyphens)" (
    types.strMatching "[a-z0-9][a-z0-9-]{1,62}[a-z0-9]"
  );

  # None of these takes a password: what stands in a configuration stands in the store.
  gitLocation = named "git location without a password (git+https://host/repository#branch:path)" (
    types.strMatching "git[+](https?://[^ /@]+/[^ ]+|ssh://([^ /:@]+@)?[^ /@]+/[^ ]+|file:///[^ ]+)"
  );

  webUrl = named "URL without a password (http:// or https://)" (
    types.strMatching "https?://[^ /@]+(/[^ ]*)?"
  );

  origin = named "origin (scheme and host, such as https://huggingface.co)" (
    types.strMatching "https?://[^ /@]+/?"
  );

  relayUrl = named "URL of a relay without a password (ws:// or wss://)" (
    types.strMatching "wss?://[^ /@]+(/[^ ]*)?"
  );

  eventId = named "id of an event (64 lower-case hex digits)" (types.strMatching "[0-9a-f]{64}");

  address = named "address (40 hex digits, perhaps with 0x)" (types.strMatching "(0x)?[0-9a-fA-F]{40}");

  ipAddress = named "IP address" (types.strMatching "[0-9]+([.][0-9]+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*");

  # A number of bytes, or one with a decimal unit.
  byteCount = named "number of bytes (an integer, or a string such as \"500G\"; K, M, G and T are powers of 1000)" (
    types.either types.ints.positive (types.strMatching "[1-9][0-9]*[KMGT]?")
  );

  toBytes =
    count:
    if lib.isInt count then
      count
    else
      let
        parts = builtins.match "([0-9]+)([KMGT]?)" count;
        unit = lib.elemAt parts 1;
      in
      lib.toInt (lib.head parts) * (if unit == "" then 1 else units.${unit});

  account = named "name of a user or group, not root" (
    types.addCheck (types.strMatching "[a-z_][a-z0-9_-]{0,30}") (name: name != "root")
  );

  # Strings, so that nothing is ever copied into the store, and never a path of the store.
  secretFile = named "path of a secret outside the Nix store" types.externalPath;
  hostFolder = named "absolute path outside the Nix store" types.externalPath;
}
