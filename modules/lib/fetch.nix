# Models as store paths. The hash is the index's own hex digest, so that a file that is right has one path whatever
# URL it came from, and whoever has it may give it: the entry's URL, a hallmark, a hashed mirror.
{ lib, index }:
let
  # `index` is also what callers name their file.
  reader = index;

  # Returns a URL with another hub in the place of the real one.
  through =
    endpoint: url:
    if endpoint != null && lib.hasPrefix "${index.hub}/" url then
      lib.removeSuffix "/" endpoint + lib.removePrefix index.hub url
    else
      url;

  # Returns where a hallmark serves a file of a model.
  fromHallmark =
    from: model: file:
    let
      artifact = "${lib.removeSuffix "/" from}/v1/models/${model.id}/artifact";
      isMain = file.path == (lib.head model.files).path;
      encoded = lib.concatMapStringsSep "/" lib.strings.escapeURL (lib.splitString "/" file.path);
    in
    if isMain then artifact else "${artifact}/${encoded}";

  fetchFile =
    { from, endpoint }:
    model: file:
    let
      url = if from != null then fromHallmark from model file else file.url;
    in
    if url == null then
      throw "${model.id}/${file.path} has no downloadUrl in the index: give fetchModel `from`, the URL of a hallmark that has it"
    else
      import ./file.nix {
        name = lib.strings.sanitizeDerivationName (baseNameOf file.path);
        url = through endpoint url;
        inherit (file) sha256;
      };

  select =
    models: id:
    let
      model =
        models.${id}
          or (throw "${index.notFoundSentence id (lib.attrNames models)} Correct the id, or add its entry.");
    in
    if model.stubReasons != [ ] then
      throw "Model '${id}' is a stub, so there is nothing to fetch: ${lib.concatStringsSep ", " model.stubReasons}"
    else
      model;

  # A folder as `from_pretrained` and its kind take it: the repository's own layout.
  asFolder =
    pkgs: model: files:
    pkgs.linkFarm model.id (
      map (file: {
        name = file.path;
        path = files.${file.path};
      }) model.files
    );

  # A folder that can stand for HF_HUB_CACHE: hallmark/<id>, and the repository it comes from if it names one.
  asCache =
    pkgs: model: files:
    let
      commit = model.entry.artifact.revision or (lib.substring 0 40 (lib.head model.files).sha256);
      url = (lib.head model.files).url;
      origin = if url == null then null else builtins.match "${index.hub}/([^/]+/[^/]+)/resolve/.*" url;
      repos = lib.unique ([ "hallmark/${model.id}" ] ++ lib.optionals (origin != null) origin);
      ref = builtins.toFile "main" commit;
      entries =
        repo:
        let
          folder = "models--${lib.replaceStrings [ "/" ] [ "--" ] repo}";
        in
        [
          {
            name = "${folder}/refs/main";
            path = ref;
          }
        ]
        ++ map (file: {
          name = "${folder}/snapshots/${commit}/${file.path}";
          path = files.${file.path};
        }) model.files;
    in
    pkgs.linkFarm "${model.id}-hf-cache" (lib.concatMap entries repos);

  layouts = [
    "artifact"
    "folder"
    "cache"
  ];

  fetchOne =
    {
      pkgs,
      layout,
      from,
      endpoint,
    }:
    model:
    let
      files = lib.listToAttrs (
        map (file: lib.nameValuePair file.path (fetchFile { inherit from endpoint; } model file)) model.files
      );
      whole = {
        artifact = files.${(lib.head model.files).path};
        folder = asFolder (needed "folder") model files;
        cache = asCache (needed "cache") model files;
      };
      needed =
        it: if pkgs == null then throw "fetchModel needs `pkgs` for the layout \"${it}\"" else pkgs;
    in
    if !(lib.elem layout layouts) then
      throw "fetchModel: \"${layout}\" is no layout; choose one of ${lib.concatStringsSep ", " layouts}"
    else
      whole.${layout} // { inherit files; };
in
{
  # fetchModel { inherit pkgs; index = ./index.json; id = "…"; }
  #   layout: "artifact" (the main file alone), "folder" (all files, as in the repository) or "cache" (HF_HUB_CACHE)
  #   from: the URL of a hallmark to take the files from; without it they come from where the index says
  #   endpoint: what stands in for https://huggingface.co
  # The result's `files` has each file by its path.
  fetchModel =
    {
      pkgs ? null,
      index,
      id,
      layout ? "artifact",
      from ? null,
      endpoint ? null,
    }:
    fetchOne { inherit pkgs layout from endpoint; } (select (reader.readIndex index) id);

  # fetchModels { inherit pkgs; index = ./index.json; ids = [ … ]; }: an attribute set, by id.
  # fetchModels { inherit pkgs config; }: all that a NixOS configuration deploys, from its own index.
  fetchModels =
    {
      pkgs ? null,
      config ? null,
      index ? config.services.models.indexPath,
      ids ? config.services.models.wantedModels,
      layout ? "artifact",
      from ? null,
      endpoint ? null,
    }:
    let
      models =
        if lib.hasPrefix "git+" (toString index) then
          throw "fetchModels reads an index while evaluating, and ${index} is followed at run time: give it `index` and `ids`"
        else
          reader.readIndex index;
      wanted = if ids == "all" then lib.attrNames (lib.filterAttrs (_: isReal) models) else ids;
      isReal = model: model.stubReasons == [ ];
    in
    lib.genAttrs wanted (id: fetchOne { inherit pkgs layout from endpoint; } (select models id));
}
