# What a policy can never admit, as far as an index alone can tell. Where the daemon may still see it otherwise,
# nothing is said here.
{ lib }:
let
  inherit (import ../lib/index.nix { inherit lib; }) hub;
  list = lib.concatStringsSep ", ";

  # The names in an SPDX expression.
  licensesIn =
    expression:
    lib.filter
      (
        it:
        lib.isString it
        && it != ""
        && !(lib.elem it [
          "AND"
          "OR"
          "WITH"
        ])
      )
      (
        lib.concatMap (it: if lib.isString it then lib.splitString " " it else [ ]) (
          builtins.split "[()]" expression
        )
      );
  # GPL-2.0-or-later may be satisfied by GPL-3.0-only: versions of one family are for the daemon to weigh.
  family =
    id:
    let
      parts = builtins.match "([AL]?GPL|GFDL)-.*" id;
    in
    if parts == null then id else lib.head parts;
  allowedName = text: lib.head (lib.splitString " " text);

  license =
    { policy, model, ... }:
    let
      allowed = map (it: family (allowedName it)) policy.licenses;
      isHopeless =
        model.license != null && !(lib.any (it: lib.elem (family it) allowed) (licensesIn model.license));
    in
    lib.optional (policy ? licenses && isHopeless) {
      option = "licenses";
      why = "its licence is ${model.license}";
      remedy = "Add ${model.license} to the list";
    };

  kinds = {
    safetensors = "safetensors";
    gguf = "gguf";
    onnx = "onnx";
    pytorch = "pytorch";
    pickle = "pytorch";
  };
  format =
    { policy, model, ... }:
    let
      kind = kinds.${toString model.format} or null;
    in
    lib.optional (policy ? formats && kind != null && !(lib.elem kind policy.formats)) {
      option = "formats";
      why = "its format is ${model.format}";
      remedy = "Add \"${kind}\" to the list";
    };

  size =
    { policy, model, ... }:
    lib.optional (policy ? size_bytes_max && model.sizeBytes > policy.size_bytes_max) {
      option = "sizeMax";
      why = "its ${toString model.sizeBytes} bytes are more than the ${toString policy.size_bytes_max} that are allowed";
      remedy = "Raise the limit";
    };

  originOf = url: lib.head (builtins.match "([a-z]+://[^/]+).*" url);
  source =
    {
      policy,
      model,
      mirrors,
      seeds,
      endpoint,
    }:
    let
      allowed = map (lib.removeSuffix "/") policy.sources;
      isAllowed = url: lib.elem (originOf url) allowed;
      fetched = url: if lib.hasPrefix "${hub}/" url then endpoint else url;
      isBarred = file: file.url != null && !(lib.hasPrefix "file:" file.url) && !(isAllowed (fetched file.url));
      barred = lib.findFirst isBarred null model.files;
      mayComeNear = seeds != [ ] || lib.any isAllowed mirrors;
    in
    lib.optional (policy ? sources && !mayComeNear && barred != null) {
      option = "sources";
      why = "${barred.path} comes from ${originOf (fetched barred.url)}, and ${
        if allowed == [ ] then "no origin is allowed" else "only ${list allowed} is allowed"
      }";
      remedy = "Allow that origin (services.models.huggingFace.enable allows the Hub), or name a mirror or a seed that has the files";
    };
in
{
  # objections { policy = [policy] of hallmark.toml; model, mirrors, seeds, endpoint }: option, why and remedy of each.
  objections =
    facts: license facts ++ format facts ++ size facts ++ source facts;
}
