# What Nix knows of an index: enough to name, fetch and judge its models while a system is evaluated.
# `hallmark validate` is the judge of the document itself; here an entry that makes no sense is passed over.
{ lib }:
let
  hub = "https://huggingface.co";
  emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  isZeros = digits: text: lib.isString text && builtins.match "0{${toString digits},}" text != null;

  # Returns the URL of a companion that names none: beside the main file.
  beside =
    mainUrl: mainPath: path:
    let
      folders = lib.splitString "/" (lib.head (lib.splitString "?" mainUrl));
      up = lib.length (lib.splitString "/" mainPath);
      encoded = map lib.strings.escapeURL (lib.splitString "/" path);
    in
    lib.concatStringsSep "/" (lib.take (lib.length folders - up) folders ++ encoded);

  # Returns a URL at a commit: `revision` pins one that names a branch.
  pinned =
    revision: url:
    let
      parts = builtins.match "(https://huggingface[.]co/.+/resolve/)[^/]+(/.+)" url;
    in
    if revision == null || parts == null then url else lib.concatStringsSep revision parts;

  filesOf =
    artifact:
    let
      mainUrl = artifact.downloadUrl or null;
      pin = url: if url == null then null else pinned (artifact.revision or null) url;
      companion = file: {
        inherit (file) path sha256 sizeBytes;
        url = pin (
          file.downloadUrl or (if mainUrl == null then null else beside mainUrl artifact.filename file.path)
        );
      };
    in
    [
      {
        path = artifact.filename;
        inherit (artifact) sha256 sizeBytes;
        url = pin mainUrl;
      }
    ]
    ++ map companion (artifact.files or [ ]);

  # Says why an entry is a stub; an empty list if it is none. The same grounds as the daemon's.
  placeholders =
    entry: files:
    lib.optional (lib.hasInfix "TODO-STUB" (builtins.toJSON entry)) "it holds values marked TODO-STUB"
    ++ lib.concatMap (
      file:
      lib.optional (isZeros 64 file.sha256) "the sha256 of ${file.path} is all zeros"
      ++ lib.optional (
        file.sizeBytes == 0 && file.sha256 != emptyDigest
      ) "the sizeBytes of ${file.path} is 0"
    ) files
    ++ lib.concatMap (place: lib.optional (isZeros 7 place.commit) "${place.name} is all zeros") [
      {
        name = "dataset.commit";
        commit = entry.dataset.commit or null;
      }
      {
        name = "training.commit";
        commit = entry.training.commit or null;
      }
      {
        name = "artifact.revision";
        commit = entry.artifact.revision or null;
      }
    ];

  modelOf =
    entry:
    let
      files = filesOf entry.artifact;
    in
    {
      inherit entry files;
      inherit (entry) id;
      chakra = entry.chakra or null;
      license = entry.license or null;
      format = entry.artifact.format or null;
      sizeBytes = lib.foldl' (sum: file: sum + file.sizeBytes) 0 files;
      stubReasons = placeholders entry files;
    };

  hasFiles =
    entry:
    let
      artifact = entry.artifact or { };
      isFile = file: file ? sha256 && lib.isInt (file.sizeBytes or null);
    in
    lib.isString (entry.id or null)
    && artifact ? filename
    && isFile artifact
    && lib.all (file: file ? path && isFile file) (artifact.files or [ ]);
in
rec {
  inherit hub;

  # readIndex ./index.json: the models by id, each with its files, their digests and where they come from.
  readIndex =
    path:
    builtins.addErrorContext "while reading the model index ${toString path}" (
      let
        document = builtins.fromJSON (builtins.unsafeDiscardStringContext (builtins.readFile path));
      in
      if !(lib.isAttrs document && lib.isList (document.models or null)) then
        throw "${toString path} is no model index: it needs a list named models"
      else
        lib.listToAttrs (
          map (entry: lib.nameValuePair entry.id (modelOf entry)) (
            lib.filter (entry: lib.isAttrs entry && hasFiles entry) document.models
          )
        )
    );

  # nearest "ajna-insigth" [ "ajna-insight" … ]: what may have been meant, best first, at most three.
  nearest =
    name: names:
    let
      distance = it: lib.strings.levenshtein name it;
      limit = 1 + lib.stringLength name / 3;
      scored = map (it: {
        inherit it;
        far = distance it;
      }) names;
      near = lib.filter (it: it.far <= limit) scored;
    in
    map (it: it.it) (lib.take 3 (lib.sort (one: other: one.far < other.far) near));

  # notFound "xyz" names: what the daemon says too.
  notFound =
    id: names:
    let
      near = nearest id names;
    in
    "Model '${id}' not found in index"
    + lib.optionalString (near != [ ]) (
      "; did you mean " + lib.concatMapStringsSep " or " (it: "'${it}'") near + "?"
    );

  # The same with its full stop, for more to follow.
  notFoundSentence =
    id: names:
    let
      text = notFound id names;
    in
    if lib.hasSuffix "?" text then text else "${text}.";
}
