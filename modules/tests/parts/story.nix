# What the stories share: a hub that is nginx and files, entries whose bytes are known, and hosts that use both.
{ module }:
rec {
  commit = "0123456789abcdef0123456789abcdef01234567";

  # An entry for a file of the repository org/<id>; its bytes are this text.
  entry = id: text: {
    inherit id text;
    version = "1.0.0";
    chakra = builtins.head (builtins.split "-" id);
    frequencyHz = 396;
    geometry = {
      pattern = "cube";
      dimensions = 3;
    };
    temporalScope = "eternal";
    semanticTags = [ "story" ];
    dataset = {
      id = "story";
      url = "https://example.org/data";
      inherit commit;
    };
    training = {
      repo = "https://example.org/code";
      command = "train";
      inherit commit;
    };
    artifact = {
      filename = "model.bin";
      sha256 = builtins.hashString "sha256" text;
      sizeBytes = builtins.stringLength text;
      downloadUrl = "https://huggingface.co/org/${id}/resolve/${commit}/model.bin";
      revision = commit;
    };
    license = "Apache-2.0";
    provenance = {
      runId = "story";
      metrics = { };
    };
  };

  # An index of these entries, as a file that is known while the system is evaluated.
  index =
    entries:
    builtins.toFile "index.json" (
      builtins.toJSON { models = map (it: removeAttrs it [ "text" ]) entries; }
    );

  # A machine that serves files as the Hub does. `files` are entries with the text that is really served.
  hub =
    {
      files,
      extraConfig ? "",
    }:
    { pkgs, ... }:
    {
      networking.firewall.allowedTCPPorts = [ 80 ];
      services.nginx = {
        enable = true;
        virtualHosts.hub = {
          default = true;
          root = pkgs.linkFarm "hub" (
            map (it: {
              name = "org/${it.id}/resolve/${commit}/model.bin";
              path = builtins.toFile "model.bin" it.text;
            }) files
          );
          locations."/".extraConfig = ''
            add_header X-Repo-Commit ${commit};
            ${extraConfig}
          '';
        };
      };
    };

  # A machine with hallmark and what its story looks with.
  host =
    models:
    { pkgs, ... }:
    {
      imports = [ module ];
      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
      ];
      services.models = models // { enable = true; };
    };

  # Python for the driver: looks at the daemon as a client does.
  looks = ''
    import json

    def model(machine, id):
        return json.loads(machine.succeed(f"curl -sSf http://127.0.0.1:8420/v1/models/{id}"))

    def wait_for_state(machine, id, state):
        machine.wait_until_succeeds(
            f"curl -sSf http://127.0.0.1:8420/v1/models/{id} | jq -e '.state == \"{state}\"'", timeout=120
        )
  '';
}
