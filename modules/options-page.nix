# OPTIONS.md, out of the module itself: every option with its type, default, example and description.
{ lib }:
let
  inherit
    (lib.evalModules {
      modules = [
        (lib.modules.importApply ./models/module.nix {
          defaultPackage = throw "the page shows the default's text";
        })
        {
          # The declarations alone are read; what they configure is not here.
          _module.check = false;
          _module.args.pkgs = {
            formats.toml = _: { type = lib.types.attrsOf lib.types.anything // { description = "TOML value"; }; };
          };
        }
      ];
    })
    options
    ;
  shown = lib.filter (it: it.visible && !it.internal && lib.hasPrefix "services.models." it.name) (
    lib.optionAttrSetToDocList options
  );
  text = it: if it ? _type then it.text else lib.generators.toPretty { } it;
  # What refers to options, units and manuals reads as code.
  plain =
    description:
    lib.concatStrings (
      map (it: if lib.isList it then "`${lib.last it}`" else it) (
        builtins.split "[{](option|manpage|file|command)[}]`([^`]*)`" description
      )
    );
  code =
    name: value:
    let
      shown = lib.removeSuffix "\n" (text value);
    in
    if lib.hasInfix "\n" shown then "${name}:\n\n```nix\n${shown}\n```\n" else "${name}: `${shown}`\n";
  page =
    it:
    lib.concatStringsSep "\n" (
      [
        "## `${it.name}`\n"
        "${lib.trim (plain it.description)}\n"
        "Type: ${it.type}${lib.optionalString it.readOnly " (read only)"}\n"
      ]
      ++ lib.optional (it ? default) (code "Default" it.default)
      ++ lib.optional (it ? example) (code "Example" it.example)
    );
in
''
  # The options of `services.models`

  Made from the module by `nix build .#options`; do not edit. The README shows them in use.

  ${lib.concatMapStringsSep "\n" page shown}''
